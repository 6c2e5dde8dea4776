"""The arrays of this stage: PyTorch's tensors, on any device."""

import numpy as np
import torch

from step01_numpy.arrays import random_generator

__all__ = ["Array", "from_numpy", "random_generator", "to_numpy", "widen"]

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
