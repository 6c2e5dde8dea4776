"""
The ladder of CUDA kernels: one `.cu` file per rung, in reading order, and what they share in `.cuh` files.

| file | what is new |
| --- | --- |
| `01_naive.cu` | three kernels, the (L, S) scores in memory |
| `02_online_softmax.cu` | one kernel: a warp per query, running maximum and sum |
| `03_tiled.cu` | FlashAttention: tiles in shared memory, micro-tiles in registers |
| `04_tiled_backward.cu` | its gradients, the weights made again from lse |
| `05_tensor_cores.cu` | 16-bit inputs on the tensor cores |
| `05_tensor_cores_backward.cu` | its gradients |
| `06_hopper.cu` | Hopper: products and copies that run by themselves, FlashAttention-3 |
| `decoding.cu` | rung 2 for few queries: keys in splits, merged |
| `attention.cuh` | shared by all: types, the problem, which key is visible, sums of large scores |
| `tiles.cuh` `warp_tiles.cuh` `warp_group_tiles.cuh` | the products of rungs 3 and 4, of rung 5, of rung 6 |
| `ptx.cuh` `ptx_hopper.cuh` | the instructions that C++ has no word for; the emulator has its own |
"""

import re
from pathlib import Path

__all__ = ["FOLDER", "source"]

FOLDER = Path(__file__).parent
MACHINE = ("ptx.cuh", "ptx_hopper.cuh")  # what the emulator has too
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)".*\n', re.MULTILINE)


def source(file: str, ptx: Path | None = None) -> str:
    """
    Return the text of a kernel file with its own headers put in, as compilers at run time want it.

    Parameters
    ----------
    file : str
        A name in this folder, as "03_tiled.cu".
    ptx : Path, optional
        What stands in for `ptx.cuh`, and its neighbour for `ptx_hopper.cuh`: the headers that speak the GPU's
        own language. The emulator has the same functions in C++.

    Returns
    -------
    text : str
        Each header once; `#line` marks keep the compiler's messages true to the files.
    """
    own = FOLDER if ptx is None else ptx.parent
    return _expand(FOLDER / file, {name: own / name for name in MACHINE}, set())


def _expand(path: Path, instead: dict, done: set) -> str:
    """Put in every header that was not put in before."""
    text, start = path.read_text().replace("#pragma once\n", "\n"), 0
    parts = [f'#line 1 "{path.name}"\n']
    for include in _INCLUDE.finditer(text):
        header = include.group(1)
        parts.append(text[start : include.start()])
        if header not in done:
            done.add(header)
            parts.append(_expand(instead.get(header, FOLDER / header), instead, done))
        start = include.end()
        parts.append(f'#line {text.count(chr(10), 0, start) + 1} "{path.name}"\n')
    return "".join([*parts, text[start:]])
