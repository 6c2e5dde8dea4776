"""Masked self-attention on the device: step01's layer, with this stage's arrays and attention."""

from step01_numpy import masked_attention as host
from step03_gpu.self_attention import AttentionHead


class MaskedSelfAttention(AttentionHead, host.MaskedSelfAttention):
    """One head of causal self-attention: position i sees positions 0 to i."""
