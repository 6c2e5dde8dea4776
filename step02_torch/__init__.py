"""Step 2: the same attention as PyTorch modules; autograd does the backward. Imports in reading order."""

from step02_torch.arrays import Array, from_numpy, random_generator, to_numpy, widen
from step02_torch.parameters import Layer, Linear, Parameter, linear, normal, uniform
from step02_torch.softmax import log_sum_exp, softmax
from step02_torch.masks import (
    causal_mask,
    combine_masks,
    hide,
    key_positions,
    padding_mask,
    sliding_window_mask,
)
from step02_torch.attention import (
    STANDARD,
    Attend,
    attention_scores,
    cap,
    record,
    repeat_heads,
    scale_or_default,
    scaled_dot_product_attention,
)
from step02_torch.self_attention import AttentionHead, SelfAttention
from step02_torch.masked_attention import MaskedSelfAttention
from step02_torch.cross_attention import CrossAttention
from step02_torch.positions import (
    LearnedPositions,
    Rotary,
    alibi_bias,
    alibi_slopes,
    rotary_angles,
    rotate,
    sinusoidal_positions,
)
from step02_torch.multi_head_attention import KVCache, MultiHeadAttention, merge_heads, split_heads
from step02_torch.flash_attention import FLASH, flash_attention
from step02_torch.layers import Dropout, Embedding, FeedForward, LayerNorm, RMSNorm, layer_norm, rms_norm
from step02_torch.blocks import DecoderBlock, EncoderBlock, Residual
from step02_torch.transformer import Decoder, Encoder, PositionalInput, Transformer
from step02_torch.pooling import embed, mean_pool, normalise
from step02_torch.loss import BLOCK, cross_entropy, linear_cross_entropy
from step02_torch.optimizer import AdamW, clip_gradients, learning_rate
from step02_torch.training import Progress, loss_and_gradients, train, training_step
from step02_torch.generation import DecoderCache, start, step

__all__ = [
    "Array",
    "from_numpy",
    "random_generator",
    "to_numpy",
    "widen",
    "Layer",
    "Linear",
    "Parameter",
    "linear",
    "normal",
    "uniform",
    "log_sum_exp",
    "softmax",
    "causal_mask",
    "combine_masks",
    "hide",
    "key_positions",
    "padding_mask",
    "sliding_window_mask",
    "STANDARD",
    "Attend",
    "attention_scores",
    "cap",
    "record",
    "repeat_heads",
    "scale_or_default",
    "scaled_dot_product_attention",
    "AttentionHead",
    "SelfAttention",
    "MaskedSelfAttention",
    "CrossAttention",
    "LearnedPositions",
    "Rotary",
    "alibi_bias",
    "alibi_slopes",
    "rotary_angles",
    "rotate",
    "sinusoidal_positions",
    "KVCache",
    "MultiHeadAttention",
    "merge_heads",
    "split_heads",
    "FLASH",
    "flash_attention",
    "Dropout",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "RMSNorm",
    "layer_norm",
    "rms_norm",
    "DecoderBlock",
    "EncoderBlock",
    "Residual",
    "Decoder",
    "Encoder",
    "PositionalInput",
    "Transformer",
    "embed",
    "mean_pool",
    "normalise",
    "BLOCK",
    "cross_entropy",
    "linear_cross_entropy",
    "AdamW",
    "clip_gradients",
    "learning_rate",
    "Progress",
    "loss_and_gradients",
    "train",
    "training_step",
    "DecoderCache",
    "start",
    "step",
]
