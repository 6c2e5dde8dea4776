"""Linear maps of the same rows as one product: fewer and longer runs through memory for each step."""

import torch
from jaxtyping import Float

from step01_numpy.common.support import checks
from step01_numpy.engine.fused import MAPS
from step02_torch.arrays import Array
from step02_torch.block_attention import NormedLinear
from step02_torch.parameters import Layer, Linear, linear

__all__ = ["MAPS", "FusedLinear", "finished", "fuse"]


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

    @torch.no_grad()
    def __init__(self, layer: Layer, *names: str):
        self.layer, self.names = layer, names
        maps = [getattr(layer, name) for name in names]
        self.weight = torch.cat([x.weight for x in maps]).T.contiguous()  # (d_in, sum of d_out)
        self.bias = None if maps[0].bias is None else torch.cat([x.bias for x in maps])
        self.sizes = [len(x.weight) for x in maps]
        for i, x in enumerate(maps):
            x.weight.data = self.weight.split(self.sizes, dim=1)[i].T
            if x.bias is not None:
                x.bias.data = self.bias.split(self.sizes)[i]
        self.views = [(x.weight.data, None if x.bias is None else x.bias.data) for x in maps]

    def __call__(self, x: Float[Array, "... d_in"]) -> list[Float[Array, "... d_out"]]:
        """Return what each map makes of x: one by one with another weight or bias, or for gradients."""
        maps = [getattr(self.layer, name) for name in self.names]
        if torch.is_grad_enabled() or not all(map(_holds, maps, self.views)):
            return [linear_map(x) for linear_map in maps]
        checks.features("x", x, len(self.weight))
        rows = linear(x, self.weight.T, self.bias).split(self.sizes, dim=-1)
        return [finished(*x) for x in zip(maps, rows, strict=True)]


def _holds(x: Linear, view) -> bool:
    weight, bias = view
    same_bias = x.bias is bias if x.bias is None or bias is None else x.bias.is_set_to(bias)
    return x.weight.is_set_to(weight) and same_bias


def finished(linear_map: Linear, rows):
    """Return what a map makes of its share of the product: one whose heads are normed has that left to do."""
    return linear_map.norm_heads(rows) if isinstance(linear_map, NormedLinear) else rows
