"""Self-attention on the device: step01's layer, with this stage's arrays and this stage's attention."""

from step01_numpy import self_attention as host
from step03_gpu.arrays import from_numpy
from step03_gpu.attention import Attend
from step03_gpu.flash_attention import FLASH


class AttentionHead(host.AttentionHead):
    """
    What the three kinds of attention with one head share: the weights W_q, W_k and W_v, on the device.

    Parameters
    ----------
    d_model : int
        Size of the rows that attend and are attended to.
    d_head : int, optional
        Size of queries, keys and values; d_model when not given.
    bias : bool
        Whether the three projections add a bias.
    attend : Attend
        The attention and its backward; by default what the device is best at, see `flash_attention`.
    rng : numpy.random.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        d_model: int,
        d_head: int | None = None,
        *,
        bias: bool = False,
        attend: Attend = FLASH,
        rng=None,
    ):
        super().__init__(d_model, d_head, bias=bias, attend=attend, rng=rng)
        self.convert(from_numpy)


class SelfAttention(AttentionHead, host.SelfAttention):
    """One head of self-attention: queries, keys and values are three linear views of the same x."""
