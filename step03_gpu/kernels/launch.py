"""One way to a kernel on either device: `cupy.RawModule` for CuPy's arrays, the emulator's for NumPy's."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import numpy as np

from step03_gpu import emulator
from step03_gpu.arrays import array_module
from step03_gpu.kernels import binary, source

PTX = Path(emulator.__file__).parent / "include" / "ptx.cuh"
OPTIONS = ("-std=c++17",)
ARCHITECTURES = {"06_hopper.cu": "sm_90a"}  # of files that hold what no other GPU has
TYPES = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}
FREE_SHARED = 48 * 1024  # bytes that a block may have without asking


@cache
def kernels(file: str, names: tuple, on_gpu: bool) -> dict:
    """
    Compile kernels of a file.

    Parameters
    ----------
    file : str
        In `kernels/`, as "03_tiled.cu".
    names : tuple of str
        Instances of its templates, as "tiled<float, 64>".
    on_gpu : bool
        For CuPy's arrays; for NumPy's when false.

    Returns
    -------
    kernels : dict
        By name; each is called with (grid, block, arguments, shared_mem=bytes).
    """
    if on_gpu:
        import cupy

        if file in ARCHITECTURES:
            return binary.kernels(source(file), names, OPTIONS, ARCHITECTURES[file])
        module = cupy.RawModule(code=source(file), options=OPTIONS, name_expressions=names)
    else:
        module = emulator.RawModule(code=source(file, PTX), options=OPTIONS, name_expressions=names)
    return {name: module.get_function(name) for name in names}


def wide(dtype) -> np.dtype:
    """Return the dtype that kernels compute in, and of lse: float32, or float64 for float64."""
    return np.dtype("float64" if dtype == np.float64 else "float32")


def on_device(x) -> AbstractContextManager:
    """Make the GPU of x the current one, where CuPy then allocates and launches; for the host's nothing."""
    return nullcontext() if array_module(x) is np else x.device


def launch(kernel, grid: tuple, n_threads: int, args: tuple, shared: int = 0) -> None:
    """
    Run a kernel on CuPy's current stream, or on the host.

    Parameters
    ----------
    kernel
        From `kernels`.
    grid : (x, y, z)
        Blocks.
    n_threads : int
        Threads of a block.
    args : tuple
        An array first. Arrays are C-contiguous and of one device; NumPy's scalars and structures go by
        value; None is a null pointer.
    shared : int
        Dynamic shared memory of a block, in bytes.
    """
    on_gpu = array_module(args[0]) is not np
    with on_device(args[0]):
        if shared > FREE_SHARED:
            kernel.max_dynamic_shared_size_bytes = shared
        if on_gpu:
            args = tuple(np.uintp(0) if x is None else x for x in args)
        kernel(grid, (n_threads,), args, shared_mem=shared)
