"""Linear maps of the same rows as one product: fewer and longer runs through memory for each step."""

import numpy as np
from jaxtyping import Float

from step01_numpy.arrays import Array
from step01_numpy.block_attention import NormedLinear
from step01_numpy.common.support import checks
from step01_numpy.parameters import Layer, Linear, linear

MAPS = {"qkv": ("w_q", "w_k", "w_v"), "hidden_and_gate": ("w_1", "w_3")}  # a layer's method, what it applies


def fuse(layer: Layer) -> Layer:
    """Let every layer inside this one, itself included, make by one product what `MAPS` names; return it."""
    for part in list(layer.modules()):
        for method, names in MAPS.items():
            if hasattr(part, method) and None not in [getattr(part, name) for name in names]:
                setattr(part, method, FusedLinear(part, *names))
    return layer


class FusedLinear:
    """
    Linear maps of one layer as one product, of weights that lie side by side; the maps keep theirs, as views.

    Parameters
    ----------
    layer : Layer
    names : str
        Of its maps, in the order in which it wants their results.
    """

    def __init__(self, layer: Layer, *names: str):
        self.layer, self.names = layer, names
        maps = [getattr(layer, name) for name in names]
        self.weight = np.concatenate([x.weight.data for x in maps]).T.copy()  # (d_in, sum of d_out)
        self.bias = None if maps[0].bias is None else np.concatenate([x.bias.data for x in maps])
        ends = np.cumsum([len(x.weight.data) for x in maps]).tolist()
        self.parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        for x, part in zip(maps, self.parts, strict=True):
            x.weight.data = self.weight[:, part].T
            if x.bias is not None:
                x.bias.data = self.bias[part]
        self.views = [(x.weight.data, None if x.bias is None else x.bias.data) for x in maps]

    def __call__(self, x: Float[Array, "... d_in"]) -> list[Float[Array, "... d_out"]]:
        """Return what each map makes of x: one by one where one of them has got another weight or bias."""
        maps = [getattr(self.layer, name) for name in self.names]
        if not all(map(self._holds, maps, self.views)):
            return [linear_map(x) for linear_map in maps]
        checks.features("x", x, len(self.weight))
        for linear_map in maps:
            linear_map.saved = x  # the backward passes are the maps' own
        out = linear(x, self.weight.T, self.bias)
        return [finished(*x) for x in zip(maps, (out[..., part] for part in self.parts), strict=True)]

    def _holds(self, x: Linear, view) -> bool:
        weight, bias = view
        given = None if x.bias is None else x.bias.data
        same_bias = given is bias and (bias is None or bias.base is self.bias)
        return x.weight.data is weight and weight.base is self.weight and same_bias


def finished(linear_map: Linear, rows):
    """Return what a map makes of its share of the product: one whose heads are normed has that left to do."""
    return linear_map.norm_heads(rows) if isinstance(linear_map, NormedLinear) else rows
