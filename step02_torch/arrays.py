"""The arrays of this stage: PyTorch's tensors, on any device."""

from contextlib import nullcontext
from functools import wraps

import numpy as np
import torch

from step01_numpy.arrays import random_generator
from step01_numpy.common.support import ranges

__all__ = [
    "Array",
    "as_tokens",
    "follow_autocast",
    "from_numpy",
    "gradients_of",
    "is_known",
    "random_generator",
    "to_numpy",
    "widen",
    "without_autocast",
]

Array = torch.Tensor


def from_numpy(x, device=None) -> Array:
    """
    Copy a NumPy array into this stage.

    Parameters
    ----------
    x : array_like
    device : str or torch.device, optional
        As PyTorch names them ("cpu", "cuda").
    """
    x = np.array(x)  # a copy: the tensor and the array do not share memory
    if x.dtype.name == "bfloat16":  # NumPy's bfloat16 is a guest type, unknown to PyTorch: move its bits
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(x).to(device)


def to_numpy(x) -> np.ndarray:
    """Hand a tensor of this stage to NumPy, without its history."""
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        import ml_dtypes

        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def widen(x) -> Array:
    """Return `x` in the dtype that sums are made in: float32 for 16-bit floats, its own otherwise."""
    return x.float() if x.dtype.itemsize == 2 else x


def is_known(x) -> bool:
    """
    Tell whether the numbers of a tensor can be read now, so that the code may depend on them.

    Not while it is compiled or exported, inside `torch.vmap` and its kin, or on the device "meta".
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    try:
        return x.untyped_storage().device.type != "meta"
    except NotImplementedError:  # one of many that vmap goes through at once, with no memory of its own
        return False


def as_tokens(name: str, x, size: int) -> Array:
    """
    Return token ids of any integer dtype as those that PyTorch looks rows up by, int64.

    Refused by `name` are other dtypes, and ids outside 0 to size - 1 where they are known.
    """
    if not isinstance(x, Array):
        raise TypeError(f"{name} is a {type(x).__name__}; expected this stage's Tensor")
    integral = not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)
    if is_known(x) or not integral:
        ranges.tokens(name, x.long() if integral else x, size)
    return x.long()


def follow_autocast(attention):
    """
    Let an attention do under autocast what PyTorch's own does: float32 q, k and v are rounded to its dtype.

    That is all: inside, sums are made in the dtype that the code says.
    """

    @wraps(attention)
    def following(q, k, v, *args, **options):
        dtype = _autocast_dtype(q)
        if dtype is not None:
            q, k, v = (x.to(dtype) if x.dtype == torch.float32 else x for x in (q, k, v))
        with without_autocast(q):
            return attention(q, k, v, *args, **options)

    return following


def without_autocast(x):
    """Return a context in which a product has the dtype of its factors, as x has, also under autocast."""
    return nullcontext() if _autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)


def _autocast_dtype(x):
    """Return the dtype that autocast rounds float32 to on the device of x, or None where it is off."""
    kind = x.device.type if isinstance(x, Array) else "meta"
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if on else None


def gradients_of(function, inputs: tuple, d_out: Array) -> tuple:
    """
    Return the gradients of `function(*inputs)` as autograd finds them, to be differentiated once more.

    For an `autograd.Function` whose own backward gives numbers without a history: while that runs, autograd
    is on where gradients of gradients are wanted (`create_graph`, `torch.func`), and off otherwise.
    """
    with without_autocast(d_out):
        return torch.func.vjp(function, *inputs)[1](d_out)
