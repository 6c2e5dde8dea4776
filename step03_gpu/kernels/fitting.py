"""
From any call of `flash_attention` to the arrays that a rung's kernels take, and back.

Head axes become (B, H), head sizes grow to one that kernels exist for, by columns of zeros, and arrays are
made contiguous; a mask stays as small as it is, broadcast by strides of 0.
"""

from math import prod

import numpy as np

from step03_gpu.arrays import array_module
from step03_gpu.attention import scale_or_default
from step03_gpu.kernels.launch import on_device, wide
from step03_gpu.kernels.rungs import ALIGNMENT, LADDER, LARGEST_GRID, state_problem


def forward(rung: int | str, q, k, v, mask, *, scale=None, **visible):
    """
    Run a rung's forward.

    Parameters
    ----------
    rung : int, or "decoding"
        One that covers the call.
    q, k, v, mask, scale
        As in `flash_attention`, and so are `causal`, `window` and `offset`.
    """
    with on_device(q):
        fitted, mask = [_fit(x, _size(rung, q, v)) for x in (q, k, v)], fit_mask(mask, q)
        problem = state_problem(*fitted[:2], mask, scale=scale_or_default(scale, q), **visible)
        out, lse = attend(rung, *fitted, mask, problem)
        return _cut(out, (*q.shape[:-1], v.shape[-1])), lse.reshape(q.shape[:-1])


def backward(rung: int | str, d_out, q, k, v, out, lse, mask, *, scale=None, **visible):
    """
    Run a rung's backward.

    Parameters
    ----------
    rung, q, k, v, mask, scale
        What the forward was given, with `causal`, `window` and `offset`.
    d_out
        Gradient of the loss with respect to `out`.
    out, lse
        What the forward returned.
    """
    with on_device(q):
        d_out, out = (x.astype(q.dtype, copy=False) for x in (d_out, out))
        fitted, mask = [_fit(x, _size(rung, q, v)) for x in (d_out, q, k, v, out)], fit_mask(mask, q)
        lse = _fit(lse.astype(wide(q.dtype), copy=False)[..., None], 1)[..., 0]
        problem = state_problem(*fitted[1:3], mask, scale=scale_or_default(scale, q), **visible)
        gradients = attend_backward(rung, *fitted, lse, mask, problem)
        return tuple(_cut(d, x.shape) for d, x in zip(gradients, (q, k, v), strict=True))


def attend(rung: int | str, q, k, v, mask, problem):
    """
    Check arrays as kernels need them, and run a rung's forward on them.

    Parameters
    ----------
    rung : int, or "decoding"
    q, k, v : (B, H, L, D), (B, H_kv, S, D), (B, H_kv, S, D)
        C-contiguous, of one device and dtype.
    mask : boolean, each axis of size 1 or as in (B, H, L, S), C-contiguous, optional
    problem
        From `state_problem`.

    Raises
    ------
    ValueError
        Naming the array and what it should be: a kernel itself checks nothing.
    """
    check(rung, q, {"k": k, "v": v}, mask)
    with on_device(q):
        return LADDER[rung].forward(q, k, v, mask, problem)


def attend_backward(rung: int | str, d_out, q, k, v, out, lse, mask, problem):
    """Check arrays as kernels need them, and run a rung's backward on them; see `attend`."""
    check(rung, q, {"k": k, "v": v, "d_out": d_out, "out": out}, mask, lse)
    with on_device(q):
        return LADDER[rung].backward(d_out, q, k, v, out, lse, mask, problem)


def check(rung: int | str, q, others: dict, mask=None, lse=None) -> None:
    """Refuse arrays that a kernel would read wrongly, or beyond their ends."""
    sizes = LADDER[rung].sizes
    if q.ndim != 4 or q.shape[-1] not in sizes:
        raise ValueError(f"q has shape {q.shape}; rung {rung} takes (B, H, L, D) with D in {sizes}")
    if q.dtype.name not in LADDER[rung].dtypes:
        raise ValueError(f"q has dtype {q.dtype.name}; rung {rung} takes {', '.join(LADDER[rung].dtypes)}")
    if max(q.shape[:2]) > LARGEST_GRID:
        raise ValueError(f"q has shape {q.shape}; rung {rung} takes B and H up to {LARGEST_GRID}")
    batch, heads, n_queries, size = q.shape
    keys = others["k"].shape
    kv_shape = (batch, keys[1] if len(keys) == 4 and heads % keys[1] == 0 else "H_kv", *keys[2:3], size)
    shapes = {"k": kv_shape, "v": kv_shape, "d_out": q.shape, "out": q.shape}
    for name, x in others.items():
        _check(name, x, q, q.dtype, shapes[name])
    _check("q", q, q, q.dtype, q.shape)
    if lse is not None:
        _check("lse", lse, q, wide(q.dtype), q.shape[:-1])
    if mask is not None:
        full = (batch, heads, n_queries, keys[2])
        sizes = zip(mask.shape, full, strict=False)
        _check(
            "mask",
            mask,
            q,
            np.dtype(bool),
            tuple(a if a == 1 else b for a, b in sizes) if mask.ndim == 4 else full,
            1,
        )


def _check(name, x, q, dtype, shape, alignment=ALIGNMENT):
    if x.dtype != dtype:
        raise ValueError(f"{name} has dtype {x.dtype.name}; expected {dtype.name}")
    if x.shape != tuple(shape):
        raise ValueError(f"{name} has shape {x.shape}; expected ({', '.join(map(str, shape))})")
    if not x.flags.c_contiguous:
        raise ValueError(f"{name} is not C-contiguous; kernels read it as if it were")
    if _device(x) != _device(q):
        raise ValueError(f"{name} is on {_device(x)}; q is on {_device(q)}")
    if _address(x) % alignment:
        raise ValueError(f"{name} starts at address {_address(x)}; kernels read {alignment} bytes at once")


def _device(x):
    return "the host" if isinstance(x, np.ndarray) else f"GPU {x.device.id}"


def _address(x):
    return x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr


def _size(rung, q, v):
    """Return the head size of a rung's kernels for a call."""
    return min(size for size in LADDER[rung].sizes if size >= max(q.shape[-1], v.shape[-1]))


def _fit(x, size):
    """Return x as (B, H, length, size), contiguous and aligned: x itself where it is so already."""
    xp, heads = array_module(x), (1, 1, *x.shape[:-2])
    shape = (prod(heads[:-1]), heads[-1], x.shape[-2], size)
    if x.shape[-1] < size:
        fitted = xp.zeros((*x.shape[:-1], size), x.dtype)
        fitted[..., : x.shape[-1]] = x
    else:
        fitted = xp.ascontiguousarray(x)
        fitted = fitted.copy() if _address(fitted) % ALIGNMENT else fitted
    return fitted.reshape(shape)


def fit_mask(mask, q):
    """Return the mask with four axes, each of its own size or of size 1 where it is broadcast."""
    if mask is None:
        return None
    xp, n_axes = array_module(mask), max(4, q.ndim)
    mask = mask[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in mask.strides)]
    mask = mask.reshape((1,) * (n_axes - mask.ndim) + mask.shape)
    batch = mask.shape[:-3]
    if prod(batch) not in (1, prod(q.shape[:-3])):  # broadcast over some of several batch axes: expand those
        mask = xp.broadcast_to(mask, (*q.shape[:-3], *mask.shape[-3:]))
    return xp.ascontiguousarray(mask).reshape(-1, *mask.shape[-3:])


def _cut(x, shape):
    """Return a result in the caller's shape, without the columns that were added."""
    return x[..., : shape[-1]].reshape(shape)
