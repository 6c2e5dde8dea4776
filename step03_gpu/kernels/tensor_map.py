"""How an array lies in memory, for copies of boxes: written by the GPU's driver or the emulator's double."""

import ctypes

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.emulator.tensor_map import encode_tiled

COLUMNS = 64  # of a box: 128 bytes, what the swizzle of 128 bytes takes
DATA_TYPES = {"float16": 6, "bfloat16": 9}  # CUtensorMapDataType
SWIZZLE_128, L2_PROMOTION_128 = 3, 2  # CUtensorMapSwizzle, CUtensorMapL2promotion
LIBRARY = "libcuda.so.1"  # of the driver


def tensor_map(x, rows: int):
    """
    Describe (B, H, length, D) as (B H, length, D), in boxes of `rows` rows and 64 columns.

    Parameters
    ----------
    x
        C-contiguous, of 16-bit floats.
    rows : int
        Of a box. Rows beyond the length, or the array, come as 0.

    Returns
    -------
    map : np.ndarray
        128 bytes without axes, as launches take a structure by value. It does not keep a GPU's array.
    """
    (batch, heads, length, size), row = x.shape, x.shape[-1] * x.dtype.itemsize
    sizes, strides, box = (size, length, batch * heads), (row, length * row), (COLUMNS, rows, 1)
    if array_module(x) is np:
        return encode_tiled(x, sizes, strides, box, swizzle=128)
    return _by_driver(x.data.ptr, DATA_TYPES[x.dtype.name], sizes, strides, box)


def _by_driver(address, data_type, sizes, strides, box):
    """Call `cuTensorMapEncodeTiled` of the CUDA driver API, with a swizzle of 128 bytes."""
    rank, memory = len(sizes), (ctypes.c_uint64 * 24)()
    start = -ctypes.addressof(memory) % 64 // 8  # the map lies at a multiple of 64 bytes
    status = ctypes.CDLL(LIBRARY).cuTensorMapEncodeTiled(
        ctypes.byref(memory, 8 * start),
        data_type,
        ctypes.c_uint32(rank),
        ctypes.c_void_p(address),
        (ctypes.c_uint64 * rank)(*sizes),
        (ctypes.c_uint64 * (rank - 1))(*strides),
        (ctypes.c_uint32 * rank)(*box),
        (ctypes.c_uint32 * rank)(*[1] * rank),  # steps along the axes
        0,  # no interleave
        SWIZZLE_128,
        L2_PROMOTION_128,
        0,  # zeros outside the array
    )
    if status:
        raise RuntimeError(f"cuTensorMapEncodeTiled answered {status} for sizes {sizes} and a box {box}")
    return np.array(memory[start : start + 16], "u8").view("V128").reshape(())
