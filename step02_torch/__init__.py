"""Step 2: the same attention as PyTorch modules; autograd does the backward. Imports in reading order."""

import step01_numpy.common.support.interrupt as _interrupt  # noqa: F401  (first: Ctrl-C may come at any time)
from step02_torch.arrays import (
    Array,
    as_tokens,
    follow_autocast,
    from_numpy,
    gradients_of,
    is_known,
    random_generator,
    to_numpy,
    widen,
    without_autocast,
)
from step02_torch.softmax import softmax
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
    repeat_heads,
    scale_or_default,
    scaled_dot_product_attention,
    simple_attention,
)
from step02_torch.parameters import Layer, Linear, Parameter, linear, normal, uniform
from step02_torch.self_attention import AttentionHead, SelfAttention
from step02_torch.masked_attention import MaskedSelfAttention
from step02_torch.cross_attention import CrossAttention
from step02_torch.multi_head_attention import MultiHeadAttention, merge_heads, split_heads
from step02_torch.positions import alibi_bias, alibi_slopes, frequencies, sinusoidal_positions, sinusoids
from step02_torch.rotary import Rotary, rotary_angles, rotary_frequencies, rotate
from step02_torch.flash_attention import FLASH, flash_attention
from step02_torch.merge import log_sum_exp, merge_attention
from step02_torch.cache import KVCache
from step02_torch.recording import record
from step02_torch.layers import (
    NORMS,
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    RMSNorm,
    layer_norm,
    rms_norm,
)
from step02_torch.feed_forward import ACTIVATIONS, FeedForward, gelu, gelu_tanh, relu, sigmoid, silu
from step02_torch.block_attention import NormedLinear, block_attention, with_options
from step02_torch.blocks import Block, PositionalInput, Residual
from step02_torch.head import Head
from step02_torch.transformer import DecoderCache, Stack, Transformer
from step02_torch.language_model import LanguageModel
from step02_torch.recurrent import GRU, BidirectionalGRU, gru_step, stand_still, summary
from step02_torch.recurrent_scores import (
    SCORE_LAYERS,
    AdditiveScore,
    ConcatScore,
    DotScore,
    GeneralScore,
    additive_scores,
    dot_scores,
)
from step02_torch.recurrent_attention import (
    GlobalAttention,
    LocalAttention,
    Memory,
    NoAttention,
    build_attention,
    local_weights,
    predict_position,
)
from step02_torch.recurrent_translator import (
    RecurrentCache,
    RecurrentDecoder,
    RecurrentEncoder,
    RecurrentTranslator,
)
from step02_torch.pooling import embed, first_pool, max_pool, mean_pool, normalise
from step02_torch.loss import BLOCK, cross_entropy, linear_cross_entropy
from step02_torch.optimizer import AdamW, clip_gradients, learning_rate
from step02_torch.training import Progress, loss_and_gradients, train, training_step
from step02_torch.generation import lay_out, prepare, start, step

__all__ = [
    "Array", "as_tokens", "follow_autocast", "from_numpy", "gradients_of", "is_known", "random_generator",
    "to_numpy", "widen", "without_autocast",
    "softmax",
    "causal_mask", "combine_masks", "hide", "key_positions", "padding_mask", "sliding_window_mask",
    "STANDARD", "Attend", "attention_scores", "cap", "repeat_heads", "scale_or_default",
    "scaled_dot_product_attention", "simple_attention",
    "Layer", "Linear", "Parameter", "linear", "normal", "uniform",
    "AttentionHead", "SelfAttention",
    "MaskedSelfAttention",
    "CrossAttention",
    "MultiHeadAttention", "merge_heads", "split_heads",
    "alibi_bias", "alibi_slopes", "frequencies", "sinusoidal_positions", "sinusoids",
    "Rotary", "rotary_angles", "rotary_frequencies", "rotate",
    "FLASH", "flash_attention",
    "log_sum_exp", "merge_attention",
    "KVCache",
    "record",
    "NORMS", "Dropout", "Embedding", "LayerNorm", "LearnedPositions", "RMSNorm", "layer_norm", "rms_norm",
    "ACTIVATIONS", "FeedForward", "gelu", "gelu_tanh", "relu", "sigmoid", "silu",
    "NormedLinear", "block_attention", "with_options",
    "Block", "PositionalInput", "Residual",
    "Head",
    "DecoderCache", "Stack", "Transformer",
    "LanguageModel",
    "GRU", "BidirectionalGRU", "gru_step", "stand_still", "summary",
    "SCORE_LAYERS", "AdditiveScore", "ConcatScore", "DotScore", "GeneralScore", "additive_scores",
    "dot_scores",
    "GlobalAttention", "LocalAttention", "Memory", "NoAttention", "build_attention", "local_weights",
    "predict_position",
    "RecurrentCache", "RecurrentDecoder", "RecurrentEncoder", "RecurrentTranslator",
    "embed", "first_pool", "max_pool", "mean_pool", "normalise",
    "BLOCK", "cross_entropy", "linear_cross_entropy",
    "AdamW", "clip_gradients", "learning_rate",
    "Progress", "loss_and_gradients", "train", "training_step",
    "lay_out", "prepare", "start", "step",
]  # fmt: skip
