"""What a caller may hand to attention: every mistake is named, with what was expected and what came."""

from functools import cache
from math import isfinite
from numbers import Integral, Real


def attention(array_type, q, k, v, mask, bias, window_, offset, scale, softcap):
    """Refuse arguments that attention cannot use (shapes, dtypes, ranges), naming the one at fault."""
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
        _array(array_type, "mask", mask)
        if _dtype(mask) != "bool":
            raise TypeError(f"mask has dtype {_dtype(mask)}; expected bool (True = may attend)")
        broadcastable("mask", mask, scores)
    if bias is not None:
        floating(array_type, "bias", bias)
        broadcastable("bias", bias, scores)
    window(window_)
    if offset is not None and not _is_integer(offset):
        raise TypeError(f"offset is {offset!r}; expected an integer or None")
    if scale is not None and not (is_number(scale) and isfinite(scale)):
        raise ValueError(f"scale is {scale!r}; expected a finite number or None")
    if softcap is not None and not (is_number(softcap) and softcap > 0):
        raise ValueError(f"softcap is {softcap!r}; expected a number above 0 or None")


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


def window(window):
    """Refuse a window that is not a pair of None or integers of at least 0."""
    if window is None:
        return
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise TypeError(f"window is {window!r}; expected (left, right) or None")
    for side, size in zip(("left", "right"), window, strict=True):
        if size is not None and not (_is_integer(size) and size >= 0):
            raise ValueError(f"window's {side} side is {size!r}; expected an integer of at least 0, or None")


def rotary_scaling(scaling):
    """Refuse a scaling that is not (factor, low, high, n_positions), all above 0, with low below high."""
    fits = isinstance(scaling, tuple | list) and len(scaling) == 4
    fits = fits and all(is_number(x) and isfinite(x) and x > 0 for x in scaling) and scaling[1] < scaling[2]
    if not fits:
        raise ValueError(
            f"rotary_scaling is {scaling!r}; expected (factor, low, high, n_positions), low below high"
        )


def floating(array_type, name, x):
    """Refuse what is not an array of floating-point numbers of this stage."""
    _array(array_type, name, x)
    if "float" not in _dtype(x):
        raise TypeError(f"{name} has dtype {_dtype(x)}; expected a floating dtype")


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


def tokens(name, x, vocab_size):
    """Refuse token ids that are no integers or lie outside the vocabulary."""
    if "int" not in _dtype(x):
        raise TypeError(f"{name} has dtype {_dtype(x)}; expected integer token ids")
    if 0 in x.shape:
        raise ValueError(f"{name} is empty: shape {_shape(x)}; expected at least one token")
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= vocab_size:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{name} holds token {wrong}; the vocabulary has {vocab_size} (0 to {vocab_size - 1})"
        )


def positive(name, value):
    """Refuse a count that is no integer of at least 1."""
    if not _is_integer(value) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 1")


def at_most(name, value, of_name, limit):
    """Refuse a count above a limit."""
    if value > limit:
        raise ValueError(f"{name} is {value}; {of_name} is {limit}")


def rate(name, value):
    """Refuse what is no number of at least 0 and below 1."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; expected a number of at least 0 and below 1")


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
    fits = isinstance(value, tuple | list) and all(_is_integer(x) and 0 <= x < n_layers for x in value)
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
    if not (is_number(value) and isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}; expected a number above 0")


def not_negative(name, value):
    """Refuse what is no integer of at least 0."""
    if not _is_integer(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 0")


def token(name, value, vocab_size):
    """Refuse what is no token of the vocabulary."""
    if not _is_integer(value) or not 0 <= value < vocab_size:
        raise ValueError(f"{name} is {value!r}; expected a token, 0 to {vocab_size - 1}")


def is_bool(name, value):
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected true or false")


def one_of(name, value, names):
    """Refuse a value that is not among those named."""
    if value not in names:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(names)}")


def _array(array_type, name, x):
    if not isinstance(x, array_type):
        raise TypeError(f"{name} is a {type(x).__name__}; expected this stage's {array_type.__name__}")


def _shape(x):
    return tuple(x.shape)


def _dtype(x):
    return _name(x.dtype)


@cache  # spelling a dtype takes longer than a small product
def _name(dtype):
    return str(dtype).removeprefix("torch.")


def _is_integer(x):
    return isinstance(x, Integral) and not isinstance(x, bool)


def is_number(x):
    """Tell whether x is a real number."""
    return isinstance(x, Real) and not isinstance(x, bool)
