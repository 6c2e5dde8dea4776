"""What a caller may hand to attention: every mistake is named, with what was expected and what came."""

import numpy as np

from step01_numpy.common.support import options
from step01_numpy.common.support.options import is_finite, is_integer, is_number

LARGEST = 2**63 - 1  # what int64 holds


def attention(array_type, q, k, v, mask, bias, window, offset, scale, softcap) -> tuple:
    """
    Refuse arguments that attention cannot use (shapes, dtypes, ranges), naming the one at fault.

    Returns
    -------
    window, offset, scale, softcap
        As Python's own numbers, or None; far positions as `options.band` moves them.
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        floating(array_type, name, x)
        if len(x.shape) < 2:
            raise ValueError(f"{name} has shape {_shape(x)}; expected (*heads, length, size)")
        if 0 in x.shape:
            raise ValueError(f"{name} is empty: shape {_shape(x)}; every size must be at least 1")
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"q, k, v have dtypes {_dtype(q)}, {_dtype(k)}, {_dtype(v)}; expected one dtype")
    _head_shapes(q, k, v)
    scores = (*q.shape[:-1], k.shape[-2])
    if mask is not None:
        instance(array_type, "mask", mask)
        if _dtype(mask) != "bool":
            raise TypeError(f"mask has dtype {_dtype(mask)}; expected bool (True = may attend)")
        broadcastable("mask", mask, scores)
    if bias is not None:
        floating(array_type, "bias", bias)
        broadcastable("bias", bias, scores)
    near = options.band(*scores[-2:], window, offset)
    return *near, options.scale(scale, q.dtype), options.softcap(softcap, q.dtype)


def _head_shapes(q, k, v):
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"k has head size {k.shape[-1]}; q has {q.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"v has {v.shape[-2]} positions; k has {k.shape[-2]}")
    if k.shape[:-2] != v.shape[:-2]:
        raise ValueError(f"v has leading shape {_shape(v)[:-2]}; k has {_shape(k)[:-2]}")
    if len(q.shape) != len(k.shape) or q.shape[:-3] != k.shape[:-3]:
        raise ValueError(f"k has shape {_shape(k)}; expected (*heads, S, D) with the heads of q, {_shape(q)}")
    if len(q.shape) > 2 and q.shape[-3] % k.shape[-3]:
        raise ValueError(
            f"k has {k.shape[-3]} key/value heads, which does not divide q's {q.shape[-3]} heads"
        )


def rotary_scaling(scaling):
    """Refuse a scaling that is not (factor, low, high, n_positions), all above 0, with low below high."""
    fits = isinstance(scaling, tuple | list) and len(scaling) == 4
    fits = fits and all(is_finite(x) and x > 0 for x in scaling) and scaling[1] < scaling[2]
    if not fits:
        raise ValueError(
            f"rotary_scaling is {scaling!r}; expected (factor, low, high, n_positions), low below high"
        )


def floating(array_type, name, x):
    """Refuse what is not an array of floating-point numbers of this stage; those of 8 bits are none."""
    instance(array_type, name, x)
    if "float" not in _dtype(x) or x.dtype.itemsize < 2:
        raise TypeError(f"{name} has dtype {_dtype(x)}; expected a floating dtype of 16 bits or more")


def boolean(name, x):
    """Refuse a mask that is not boolean."""
    if _dtype(x) != "bool":
        raise TypeError(f"{name} has dtype {_dtype(x)}; expected bool")


def rank(name, x, n):
    """Refuse an array that has not n axes."""
    if len(x.shape) != n:
        raise ValueError(f"{name} has shape {_shape(x)}; expected {n} axes")


def shape(name, x, expected):
    """Refuse an array of another shape."""
    if _shape(x) != tuple(expected):
        raise ValueError(f"{name} has shape {_shape(x)}; expected {tuple(expected)}")


def features(name, x, size):
    """Refuse an array whose last axis has not the size that the layer was built for."""
    if len(x.shape) < 1 or x.shape[-1] != size:
        raise ValueError(f"{name} has shape {_shape(x)}; expected (..., {size})")


def positive(name, value):
    """Refuse a count that is no integer of at least 1."""
    if not is_integer(value) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 1")
    at_most(name, value, "the largest size", LARGEST)


def at_most(name, value, of_name, limit):
    """Refuse a count above a limit."""
    if value > limit:
        raise ValueError(f"{name} is {value}; {of_name} is {limit}")


def rate(name, value):
    """Return a number of at least 0 and below 1 as Python's, which leaves the arrays' dtype alone."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; expected a number of at least 0 and below 1")
    return float(value)


def divides(name, value, of_name, of):
    """Refuse `value` when it does not divide `of`."""
    positive(name, value)
    positive(of_name, of)
    if of % value:
        raise ValueError(f"{name} is {value}, which does not divide {of_name} {of}")


def head_size(d_head, d_model, n_heads):
    """Return the size of a head: the one given, or d_model / n_heads, refused where it is no integer."""
    if d_head is None:
        divides("n_heads", n_heads, "d_model", d_model)
        return d_model // n_heads
    positive("d_model", d_model)
    positive("n_heads", n_heads)
    positive("d_head", d_head)
    return d_head


def block_numbers(name, value, n_layers):
    """Refuse what is no tuple of the numbers of blocks, each once and in order."""
    fits = isinstance(value, tuple | list) and all(is_integer(x) and 0 <= x < n_layers for x in value)
    if not fits or sorted(set(value)) != list(value):
        raise ValueError(f"{name} is {value!r}; expected numbers of blocks, 0 to {n_layers - 1}, ascending")


def broadcastable(name, x, shape):
    """Refuse an array that does not broadcast to `shape`, or that would enlarge it."""
    trailing = shape[max(0, len(shape) - len(x.shape)) :]
    fits = len(x.shape) <= len(shape) and all(a in (1, b) for a, b in zip(x.shape, trailing, strict=True))
    if not fits:
        raise ValueError(
            f"{name} has shape {_shape(x)}, which does not broadcast to the scores' {tuple(shape)}"
        )


def state(expected, given):
    """Refuse a state whose names or shapes are not the expected ones; `expected` maps names to shapes."""
    missing = sorted(set(expected) - set(given))
    extra = sorted(set(given) - set(expected))
    if missing or extra:
        raise ValueError(f"state has missing names {missing} and unexpected names {extra}")
    for name, shape in expected.items():
        if tuple(given[name].shape) != tuple(shape):
            raise ValueError(f"{name} has shape {_shape(given[name])}; expected {tuple(shape)}")


def above_zero(name, value):
    """Refuse what is no finite number above 0."""
    if not (is_finite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}; expected a number above 0")


def not_negative(name, value):
    """Refuse what is no integer of at least 0."""
    if not is_integer(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 0")


def token(name, value, vocab_size):
    """Refuse what is no token of the vocabulary."""
    if not is_integer(value) or not 0 <= value < vocab_size:
        raise ValueError(f"{name} is {value!r}; expected a token, 0 to {vocab_size - 1}")


def is_bool(name, value):
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected true or false")


def one_of(name, value, names):
    """Refuse a value that is not among those named."""
    if value not in names:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(names)}")


def instance(array_type, name, x):
    """Refuse what is no array of this stage."""
    if not isinstance(x, array_type):
        raise TypeError(f"{name} is a {type(x).__name__}; expected this stage's {array_type.__name__}")


def _shape(x):
    return tuple(x.shape)


def _dtype(x):
    return dtype_name(x.dtype)


def dtype_name(dtype) -> str:
    """Return a dtype's name, of PyTorch's what it has in common with NumPy's."""
    names = _NUMPY if isinstance(dtype, np.dtype) else _TORCH
    if dtype not in names:  # spelling a dtype takes longer than a small product
        names[dtype] = str(dtype).removeprefix("torch.")
    return names[dtype]


# Neither `functools.cache`, of which torch.compile warns, nor one for all, whose keys it cannot compare.
_NUMPY: dict = {}
_TORCH: dict = {}
