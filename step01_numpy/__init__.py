"""Step 1: attention in plain NumPy, every gradient derived by hand. Imports in reading order."""

import step01_numpy.common.support.interrupt as _interrupt  # noqa: F401  (first: Ctrl-C may come at any time)
from step01_numpy.arrays import Array, from_numpy, random_generator, to_numpy, widen
from step01_numpy.softmax import softmax, softmax_backward
from step01_numpy.masks import (
    causal_mask,
    combine_masks,
    hide,
    key_positions,
    padding_mask,
    sliding_window_mask,
)
from step01_numpy.attention import (
    STANDARD,
    Attend,
    attention_backward,
    attention_scores,
    cap,
    cap_backward,
    repeat_heads,
    repeat_heads_backward,
    scale_or_default,
    scaled_dot_product_attention,
    simple_attention,
    simple_attention_backward,
)
from step01_numpy.parameters import Layer, Linear, Parameter, linear, linear_backward, normal, uniform
from step01_numpy.self_attention import AttentionHead, SelfAttention
from step01_numpy.masked_attention import MaskedSelfAttention
from step01_numpy.cross_attention import CrossAttention
from step01_numpy.multi_head_attention import MultiHeadAttention, merge_heads, split_heads
from step01_numpy.positions import alibi_bias, alibi_slopes, frequencies, sinusoidal_positions, sinusoids
from step01_numpy.rotary import Rotary, rotary_angles, rotary_frequencies, rotate, rotate_backward
from step01_numpy.flash_attention import flash_attention, flash_attention_backward
from step01_numpy.merge import log_sum_exp, log_sum_exp_backward, merge_attention, merge_attention_backward
from step01_numpy.cache import KVCache
from step01_numpy.recording import record
from step01_numpy.layers import (
    NORMS,
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    RMSNorm,
    layer_norm,
    layer_norm_backward,
    lookup_backward,
    rms_norm,
    rms_norm_backward,
)
from step01_numpy.feed_forward import (
    ACTIVATIONS,
    FeedForward,
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    relu,
    relu_backward,
    sigmoid,
    silu,
    silu_backward,
)
from step01_numpy.block_attention import NormedLinear, block_attention, with_options
from step01_numpy.blocks import Block, PositionalInput, Residual
from step01_numpy.head import Head
from step01_numpy.transformer import DecoderCache, Stack, Transformer
from step01_numpy.language_model import LanguageModel
from step01_numpy.recurrent import (
    GRU,
    BidirectionalGRU,
    gru_step,
    gru_step_backward,
    stand_still,
    summary,
    summary_backward,
    weight_backward,
)
from step01_numpy.recurrent_scores import (
    SCORE_LAYERS,
    AdditiveScore,
    ConcatScore,
    DotScore,
    GeneralScore,
    additive_scores,
    additive_scores_backward,
    dot_scores,
    dot_scores_backward,
)
from step01_numpy.recurrent_attention import (
    GlobalAttention,
    LocalAttention,
    Memory,
    NoAttention,
    build_attention,
    local_weights,
    local_weights_backward,
    predict_position,
    predict_position_backward,
)
from step01_numpy.recurrent_translator import (
    RecurrentCache,
    RecurrentDecoder,
    RecurrentEncoder,
    RecurrentTranslator,
)
from step01_numpy.pooling import (
    embed,
    first_pool,
    first_pool_backward,
    max_pool,
    max_pool_backward,
    mean_pool,
    mean_pool_backward,
    normalise,
    normalise_backward,
)
from step01_numpy.loss import BLOCK, cross_entropy, cross_entropy_backward, linear_cross_entropy
from step01_numpy.optimizer import AdamW, clip_gradients, learning_rate
from step01_numpy.training import Progress, loss_and_gradients, train, training_step
from step01_numpy.generation import lay_out, prepare, start, step
from step01_numpy.engine.flash import FLASH

__all__ = [
    "Array", "from_numpy", "random_generator", "to_numpy", "widen",
    "softmax", "softmax_backward",
    "causal_mask", "combine_masks", "hide", "key_positions", "padding_mask", "sliding_window_mask",
    "STANDARD", "Attend", "attention_backward", "attention_scores", "cap", "cap_backward", "repeat_heads",
    "repeat_heads_backward", "scale_or_default", "scaled_dot_product_attention", "simple_attention",
    "simple_attention_backward",
    "Layer", "Linear", "Parameter", "linear", "linear_backward", "normal", "uniform",
    "AttentionHead", "SelfAttention",
    "MaskedSelfAttention",
    "CrossAttention",
    "MultiHeadAttention", "merge_heads", "split_heads",
    "alibi_bias", "alibi_slopes", "frequencies", "sinusoidal_positions", "sinusoids",
    "Rotary", "rotary_angles", "rotary_frequencies", "rotate", "rotate_backward",
    "flash_attention", "flash_attention_backward",
    "log_sum_exp", "log_sum_exp_backward", "merge_attention", "merge_attention_backward",
    "KVCache",
    "record",
    "NORMS", "Dropout", "Embedding", "LayerNorm", "LearnedPositions", "RMSNorm", "layer_norm",
    "layer_norm_backward", "lookup_backward", "rms_norm", "rms_norm_backward",
    "ACTIVATIONS", "FeedForward", "gelu", "gelu_backward", "gelu_tanh", "gelu_tanh_backward", "relu",
    "relu_backward", "sigmoid", "silu", "silu_backward",
    "NormedLinear", "block_attention", "with_options",
    "Block", "PositionalInput", "Residual",
    "Head",
    "DecoderCache", "Stack", "Transformer",
    "LanguageModel",
    "GRU", "BidirectionalGRU", "gru_step", "gru_step_backward", "stand_still", "summary",
    "summary_backward", "weight_backward",
    "SCORE_LAYERS", "AdditiveScore", "ConcatScore", "DotScore", "GeneralScore", "additive_scores",
    "additive_scores_backward", "dot_scores", "dot_scores_backward",
    "GlobalAttention", "LocalAttention", "Memory", "NoAttention", "build_attention", "local_weights",
    "local_weights_backward", "predict_position", "predict_position_backward",
    "RecurrentCache", "RecurrentDecoder", "RecurrentEncoder", "RecurrentTranslator",
    "embed", "first_pool", "first_pool_backward", "max_pool", "max_pool_backward",
    "mean_pool", "mean_pool_backward", "normalise", "normalise_backward",
    "BLOCK", "cross_entropy", "cross_entropy_backward", "linear_cross_entropy",
    "AdamW", "clip_gradients", "learning_rate",
    "Progress", "loss_and_gradients", "train", "training_step",
    "lay_out", "prepare", "start", "step",
    "FLASH",
]  # fmt: skip
