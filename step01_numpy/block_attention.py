"""The attention of a block as its configuration shapes it, with what came after 2017."""

from functools import partial

from jaxtyping import Float

from step01_numpy.arrays import Array
from step01_numpy.attention import STANDARD, Attend
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support import checks
from step01_numpy.layers import RMSNorm
from step01_numpy.multi_head_attention import MultiHeadAttention
from step01_numpy.parameters import Linear
from step01_numpy.rotary import Rotary


class NormedLinear(Linear):
    """
    A linear map to heads, each of which is then brought to root mean square 1: scores that cannot run away.

    Parameters
    ----------
    d_in, d_out : int
        d_out is the number of heads times their size.
    d_head : int
    eps : float
        As in `rms_norm`.
    bias : bool
    rng : numpy.random.Generator, optional
        Source of the initial weights.

    References
    ----------
    Henry et al. 2020, arXiv:2010.04245; with a weight, one for all heads: Qwen 3, arXiv:2505.09388.
    """

    def __init__(self, d_in: int, d_out: int, d_head: int, *, eps: float = 1e-6, bias: bool = True, rng=None):
        super().__init__(d_in, d_out, bias=bias, rng=rng)
        checks.divides("d_head", d_head, "d_out", d_out)
        self.norm = RMSNorm(d_head, eps=eps)

    def forward(self, x: Float[Array, "... d_in"]) -> Float[Array, "... d_out"]:
        """Return the heads' rows side by side, (..., d_out)."""
        return self.norm_heads(super().forward(x))

    def norm_heads(self, rows: Float[Array, "... d_out"]) -> Float[Array, "... d_out"]:
        """Norm each head of rows that the map has made, here or in one product with others."""
        return self.norm(self._heads(rows)).reshape(rows.shape)

    def backward(self, d_out: Float[Array, "... d_out"]) -> Float[Array, "... d_in"]:
        """Return d_x, (..., d_in)."""
        return super().backward(self.norm.backward(self._heads(d_out)).reshape(d_out.shape))

    def _heads(self, rows):
        return rows.reshape(*rows.shape[:-1], -1, self.norm.d_model)


def with_options(attend: Attend, **options) -> Attend:
    """Return an attention that is always called with these options; those that are None are left out."""
    options = {name: x for name, x in options.items() if x is not None}
    if not options:
        return attend
    return Attend(partial(attend.forward, **options), partial(attend.backward, **options))


def block_attention(
    config: ModelConfig, *, rotary: Rotary | None = None, attend: Attend = STANDARD, rng=None
) -> MultiHeadAttention:
    """
    Build the attention of a block, to its own rows or to a memory.

    Parameters
    ----------
    config : ModelConfig
    rotary : Rotary, optional
        Turns queries and keys by their positions.
    attend : Attend
    rng : numpy.random.Generator, optional
        Source of the initial weights.
    """
    attend = with_options(attend, scale=config.attention_scale, softcap=config.attention_softcap)
    options = {"d_head": config.d_head, "bias": config.biases_qkv, "rotary": rotary}
    heads = config.d_model, config.n_heads, config.n_kv_heads
    layer = MultiHeadAttention(*heads, **options, attend=attend, rng=rng)
    if not config.bias:
        layer.w_o.bias = None
    if config.head_norm:
        options = {"eps": config.norm_eps, "bias": config.biases_qkv, "rng": rng}
        d_q, d_k = len(layer.w_q.weight.data), len(layer.w_k.weight.data)
        layer.w_q = NormedLinear(config.d_model, d_q, config.head_size, **options)
        layer.w_k = NormedLinear(config.d_model, d_k, config.head_size, **options)
    return layer
