"""Multi-head attention on the device: step01's layer, with this stage's arrays and attention."""

from step01_numpy import multi_head_attention as host
from step01_numpy.multi_head_attention import merge_heads, split_heads
from step03_gpu.arrays import from_numpy
from step03_gpu.attention import Attend
from step03_gpu.flash_attention import FLASH

__all__ = ["MultiHeadAttention", "merge_heads", "split_heads"]


class MultiHeadAttention(host.MultiHeadAttention):
    """
    Project to H queries, H_kv keys and values, attend in each head, merge, project.

    Parameters
    ----------
    d_model, n_heads : int
        n_heads divides d_model, unless the size of a head is given.
    n_kv_heads : int, optional
        H_kv, dividing H: fewer is grouped-query attention, 1 is multi-query attention.
    d_head : int, optional
        D, the size of a head; d_model / n_heads when not given.
    bias : bool
        Whether the four projections add a bias.
    rotary : Rotary, optional
        Turns queries and keys by their positions.
    attend : Attend
        The attention and its backward; by default what the device is best at, see `flash_attention`.
    rng : numpy.random.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_head: int | None = None,
        bias: bool = True,
        rotary=None,
        attend: Attend = FLASH,
        rng=None,
    ):
        options = {"d_head": d_head, "bias": bias, "rotary": rotary, "attend": attend, "rng": rng}
        super().__init__(d_model, n_heads, n_kv_heads, **options)
        self.convert(from_numpy)
