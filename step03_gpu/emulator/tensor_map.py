"""A double of the driver's `cuTensorMapEncodeTiled`: how an array lies in memory, for copies of boxes."""

import numpy as np

from step03_gpu.emulator.compiler import EmulatorError

# The struct of mbarriers.cuh; the driver's has 128 bytes too, and its fields are nobody's business.
TENSOR_MAP = np.dtype(
    [
        *(("array", "u8"), ("bytes", "i8"), ("strides", "i8", 5), ("sizes", "u4", 5), ("box", "u4", 5)),
        *(("rank", "i4"), ("swizzle", "i4"), ("unused", "u1", 24)),
    ],
)
SWIZZLES = (0, 32, 64, 128)  # bytes, in the order of CUtensorMapSwizzle


class TensorMap(np.ndarray):
    """A map by value, as a launch takes it; it keeps the array that it speaks of, as `array`."""


def encode_tiled(array, sizes: tuple, strides: tuple, box: tuple, swizzle: int) -> TensorMap:
    """
    Describe an array and the boxes that are copied of it.

    Parameters
    ----------
    array : np.ndarray
    sizes : tuple of int
        Of its axes, the innermost first.
    strides : tuple of int
        Bytes from one index to the next, of all axes but the innermost.
    box : tuple of int
        Its sizes, in elements.
    swizzle : int
        0, 32, 64 or 128: bytes of shared memory within which a box's 16-byte chunks are permuted.

    Returns
    -------
    map : TensorMap

    Raises
    ------
    EmulatorError
        For what the driver would refuse.

    References
    ----------
    CUDA Driver API, "Tensor Map Object Management", `cuTensorMapEncodeTiled`: interleave and oobFill NONE,
    element strides 1.
    """
    rank, row = len(sizes), box[0] * array.itemsize
    refused = {
        f"{rank} axes; from 1 to 5": not 1 <= rank <= 5,
        f"the address {array.ctypes.data}; a multiple of 16": array.ctypes.data % 16,
        f"sizes {sizes}; from 1 to 2^32": not all(1 <= n <= 1 << 32 for n in sizes),
        f"strides {strides}; multiples of 16 below 2^40": any(n % 16 or n >= 1 << 40 for n in strides),
        f"the box {box}; from 1 to 256": not all(1 <= n <= 256 for n in box),
        f"box rows of {row} bytes; multiples of 16": row % 16,
        f"box rows of {row} bytes; at most a swizzle's {swizzle}": swizzle and row > swizzle,
        f"box rows of {row} bytes, shorter than a swizzle's {swizzle}, not played here": 0 < row < swizzle,
    }
    for words, found in refused.items():
        if found:
            raise EmulatorError(f"cuTensorMapEncodeTiled: {words}")
    made = np.zeros((), TENSOR_MAP).view(TensorMap)
    made["array"], made["bytes"], made["rank"] = array.ctypes.data, array.nbytes, rank
    made["strides"][:rank], made["sizes"][:rank] = (array.itemsize, *strides), sizes
    made["box"][:rank], made["swizzle"] = box, SWIZZLES.index(swizzle)
    made.flags.writeable = False
    made.array = array
    return made
