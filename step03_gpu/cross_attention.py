"""Cross-attention on the device: step01's layer, with this stage's arrays and attention."""

from step01_numpy import cross_attention as host
from step03_gpu.self_attention import AttentionHead


class CrossAttention(AttentionHead, host.CrossAttention):
    """One head of cross-attention: queries from x, keys and values from the context."""
