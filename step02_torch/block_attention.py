"""The attention of a block as its configuration shapes it, with what came after 2017."""

from step01_numpy.common.configuration.model import ModelConfig
from step02_torch.attention import STANDARD, Attend
from step02_torch.multi_head_attention import MultiHeadAttention
from step02_torch.rotary import Rotary


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
    options = {"d_head": config.d_head, "bias": config.biases_qkv, "rotary": rotary}
    heads = config.d_model, config.n_heads, config.n_kv_heads
    layer = MultiHeadAttention(*heads, **options, attend=attend, rng=rng)
    if not config.bias:
        layer.w_o.bias = None
    return layer
