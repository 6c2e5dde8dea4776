"""Layers, their weights by name and what these begin as; step02 has PyTorch's `Module` and `Parameter`."""

from collections.abc import Iterator

import numpy as np

from step01_numpy.common.support import checks


class Parameter:
    """
    A weight and the gradient that backward passes have added up for it.

    Attributes
    ----------
    data : array
    grad : array or None
        None until a backward pass reaches the weight.
    """

    def __init__(self, data):
        self.data = data
        self.grad = None

    def accumulate(self, gradient) -> None:
        """Add to `grad`: a weight that is used twice collects two gradients."""
        self.grad = gradient if self.grad is None else self.grad + gradient


class Layer:
    """
    A part of a model: `forward(...)`, and `backward(d_out)`, which adds to the gradients of its weights.

    Its weights are the `Parameter`, `Layer` and lists of `Layer` among its attributes, named as PyTorch
    names them ("layers.0.w_q.weight"). `forward` keeps in `saved` what `backward` needs.
    """

    training = True

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def children(self) -> Iterator[tuple[str, "Layer"]]:
        """Yield the layers directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", x) for i, x in enumerate(value) if isinstance(x, Layer))

    def modules(self) -> Iterator["Layer"]:
        """Yield this layer and all inside it."""
        yield self
        for _, layer in self.children():
            yield from layer.modules()

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield each weight with its dotted name, this layer's own first."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, layer in self.children():
            yield from layer.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """Return all weights."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> "Layer":
        """Switch dropout on, or off with `mode=False`, in this layer and all inside it."""
        for layer in self.modules():
            layer.training = mode
        return self

    def eval(self) -> "Layer":
        """Switch dropout off."""
        return self.train(False)

    def double(self) -> "Layer":
        """Turn all weights into float64."""
        return self.convert(lambda data: data.astype(np.float64))

    def float(self) -> "Layer":
        """Turn all weights into float32."""
        return self.convert(lambda data: data.astype(np.float32))

    def convert(self, change) -> "Layer":
        """Replace the array of each weight by `change(array)`: another dtype, another device."""
        for parameter in self.parameters():
            parameter.data, parameter.grad = change(parameter.data), None
        return self

    def state_dict(self) -> dict:
        """Return the weights' arrays by name."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: dict, *, copy: bool = True) -> None:
        """
        Take the weights from `state`, arrays of any stage by name, in this layer's dtype and on its device.

        Parameters
        ----------
        state : dict
        copy : bool
            Without a copy, arrays that have the dtype already are used as they are, on a file's pages maybe.

        Raises
        ------
        ValueError
            For names missing or unknown, or a wrong shape; then no weight has changed.
        """
        own = dict(self.named_parameters())
        checks.state({name: parameter.data.shape for name, parameter in own.items()}, state)
        for name, parameter in own.items():
            new, old = state[name], parameter.data
            new = new if hasattr(new, "__array_function__") else np.asarray(new)
            parameter.data = (np.array if copy else np.asarray)(new, dtype=old.dtype, like=old)


def uniform(bound: float, shape: tuple, rng=None) -> np.ndarray:
    """Draw float32 numbers from [-bound, bound)."""
    rng = np.random.default_rng() if rng is None else rng
    return rng.uniform(-bound, bound, shape).astype(np.float32, copy=False)


def normal(deviation: float, shape: tuple, rng=None) -> np.ndarray:
    """Draw float32 numbers from a normal distribution of mean 0."""
    rng = np.random.default_rng() if rng is None else rng
    return rng.normal(0, deviation, shape).astype(np.float32, copy=False)
