"""
What `check.py` does with kernels: compile them on the emulator and launch them, with every access watched.

It needs a C++ compiler: g++ 11 or later, or clang++ 16 or later; and Linux or macOS.
"""

import re
import sys
from functools import cache
from pathlib import Path

if sys.platform == "win32":
    sys.exit("The kernels run on Linux and macOS. On Windows install WSL, and call check.py from there.")

import launches
from regions import expand, regions, unwritten

from step03_gpu.emulator import EmulatorError, RawModule, compare_orders, warp_order

HERE = Path(__file__).resolve().parent
KERNELS, DRIVERS = HERE / "step03_gpu" / "kernels", HERE / "drivers"
SECONDS = 20.0  # that a launch may take
said = {}


def read(file):
    """Return the text of a file that is compiled."""
    if file == "ptx.cuh":
        return (HERE / "step03_gpu" / "emulator" / "include" / file).read_text("utf-8")
    return ((DRIVERS if (DRIVERS / file).is_file() else KERNELS) / file).read_text("utf-8")


@cache
def module(unit, names):
    """Return the kernels of a file."""
    return RawModule(expand(unit, read), name_expressions=names, checked=True, timeout=SECONDS)


def answer(task, case, args, options):
    """Launch a kernel as a case wants it; return its results, as `check.py` has answers."""
    path, _, name = case["target"].partition(":")
    if unwritten(regions(read(Path(path).name))[name].text, task["stub"]):
        raise NotImplementedError
    launch, orders = launches.of(args, options)
    kernel = module(task["unit"], tuple(task["names"])).get_function(launch.kernel)
    if orders:
        kernel.max_dynamic_shared_size_bytes = max(launch.shared, 48 * 1024)
        compare_orders(kernel, launch.grid, launch.block, launches.copies(launch), shared_mem=launch.shared)
    return [launches.answer(kernel, launch, orders, warp_order)], {}


def words(error):
    """Return what is said of an error: the compiler's first, or the emulator's; of those alike the first."""
    text = str(error)
    if found := re.search(r"^([\w.]+:\d+):\d+: (?:fatal )?error: (.*)$", text, re.MULTILINE):
        text = f"{found[1]}: {found[2]}"
    elif not isinstance(error, EmulatorError):
        text = f"{type(error).__name__}: {text}"
    return said.setdefault(re.sub(r"-?\d[\d.e+-]*", "#", text), " ".join(text.split())[:400])
