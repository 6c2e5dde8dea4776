"""From the text of a `.cu` file to something that runs here: translated, compiled as C++20, kept for the next time."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from step01_numpy.common.files import write_atomically

INCLUDE = Path(__file__).parent / "include"
FLAGS = ["-std=c++20", "-O2", "-w", "-pipe", "-ffp-contract=off", f"-I{INCLUDE}"]
LIBRARY = ["-shared", "-fPIC", "-fvisibility=hidden"]

DYNAMIC = re.compile(r"extern\s+__shared__\s+([^;\[]*?)\s*\b(\w+)\s*\[\s*\]\s*;")
STATIC = re.compile(r"__shared__\s[^;]*;")
ALIGNAS = re.compile(r"alignas(?=\s*\()")
BRACKETS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)")


class EmulatorError(RuntimeError):
    """A kernel that does not compile, or that does what a GPU would answer with nonsense, or not at all."""


def translate(code: str) -> str:
    """
    Turn the few words of CUDA that no macro can express into C++; each line stays where it is.

    `extern __shared__ T x[];` becomes a pointer to the emulator's memory; behind every other `__shared__`
    declaration the variables' names are handed to the emulator, which poisons them before each block.
    """
    code = DYNAMIC.sub(_dynamic, code)
    return STATIC.sub(_static, code)


def _dynamic(match):
    element = re.sub(r"(alignas|__align__)\s*\([^()]*\)", "", match[1])
    lines = "\n" * (match[0].count("\n") - element.count("\n"))
    return f"{element}* {match[2]} = reinterpret_cast<{element}*>(emulator::dynamic_shared);{lines}"


def _static(match):
    declaration = bare = ALIGNAS.sub("__align__", match[0])
    while bare != (bare := BRACKETS.sub(" ", bare)):  # what is left: words, and commas between variables
        pass
    names = [re.search(r"(\w+)\s*$", part)[1] for part in bare[:-1].split(",")]
    return declaration + "".join(f" EMULATOR_SHARED({name})" for name in names)


@cache
def compiler() -> tuple[str, str]:
    """Return the path and the version of the C++ compiler: $CXX, g++ or clang++."""
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        if name and (path := shutil.which(name)):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            return path, version.stdout
    raise EmulatorError(
        "no C++ compiler found, which the emulator needs: install g++ 11 or later or clang++ 16 or later "
        "(Debian, Ubuntu: apt install g++; macOS: xcode-select --install), or name one in CXX"
    )


def compile_kernels(code: str, names: tuple, options: tuple, checked: bool = False) -> Path:
    """
    Compile kernels into a shared library, or the library of an earlier call with the same content.

    Parameters
    ----------
    code : str
        CUDA C++.
    names : tuple of str
        Of the kernels, as expressions: `forward<float, 64>`.
    options : tuple of str
        As for NVRTC; definitions (-D, -U) and folders of headers (-I) are used.
    checked : bool
        With AddressSanitizer, as a program of its own.

    Returns
    -------
    path : Path

    Raises
    ------
    EmulatorError
        With the compiler's message, where the text is no C++; or where there is no compiler.
    """
    path, version = compiler()
    kernels = " ".join(f"EMULATOR_KERNEL({name})" for name in names)
    text = f'#include "cuda.cuh"\n#line 1 "kernel.cu"\n{translate(code)}\n'
    text += f'#line 1 "the names of the kernels"\nEMULATOR_KERNELS({kernels})\n'
    flags = [*FLAGS, *LIBRARY, *(option for option in options if option[:2] in ("-D", "-U", "-I"))]
    headers = "".join(header.read_text() for header in sorted(INCLUDE.iterdir()))
    key = hashlib.sha256("\0".join([text, headers, path, version, *flags]).encode()).hexdigest()[:32]
    compiled = cache_folder() / key
    if not compiled.exists():
        _compile([path, *flags], text, compiled)
    return compiled


def _compile(command, text, compiled):
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "compiled"
        run = subprocess.run(
            [*command, "-x", "c++", "-", "-o", output],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise EmulatorError(f"the kernel does not compile:\n{run.stderr.strip()}")
        write_atomically(compiled, output.read_bytes())


@cache
def cache_folder() -> Path:
    """Return where compiled kernels are kept: $ATTENTION_STEP_BY_STEP_CACHE, or the user's folder for such."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("ATTENTION_STEP_BY_STEP_CACHE") or Path(home) / "attention-step-by-step")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="attention-step-by-step-"))
