"""Products of a long matrix and a tile: in strips, where BLAS multiplies a strip as it lies in memory."""

import numpy as np

_SMALL = 36 * 1024  # bytes of a tile that stays in the first cache while strip after strip passes


def matmul(a: np.ndarray, tile: np.ndarray, buffer: np.ndarray, strip: int) -> np.ndarray:
    """Return a @ tile, in a buffer that is used again and again: new memory is slow at first."""
    (n, depth), width = a.shape, tile.shape[1]
    out = buffer[: n * width].reshape(n, width)
    cut = n - n % strip if tile.nbytes <= _SMALL else 0
    if cut:
        tile = np.ascontiguousarray(tile)
        np.matmul(a[:cut].reshape(-1, strip, depth), tile, out=out[:cut].reshape(-1, strip, width))
    if cut < n:
        np.matmul(a[cut:], tile, out=out[cut:])
    return out


def transposed_matmul(a: np.ndarray, b: np.ndarray, buffer: np.ndarray, strip: int) -> np.ndarray:
    """Return aᵀ @ b, of two long matrices, as the sum of what strips give; b is at most `strip` wide."""
    (n, width), depth = a.shape, b.shape[1]
    cut = n - n % strip
    if not cut:
        return a.T @ b
    strips = a[:cut].reshape(-1, strip, width).swapaxes(1, 2), b[:cut].reshape(-1, strip, depth)
    parts = buffer[: cut // strip * width * depth].reshape(-1, width * depth)
    np.matmul(*strips, out=parts.reshape(-1, width, depth))
    out = (np.ones(len(parts), a.dtype) @ parts).reshape(width, depth)  # faster than a sum
    if cut < n:
        out += a[cut:].T @ b[cut:]
    return out
