"""Step 3: the same attention on the GPU, on CuPy's arrays. Imports in reading order."""

import step01_numpy.common.support.interrupt as _interrupt  # noqa: F401  (first: Ctrl-C may come at any time)
from step03_gpu.arrays import (
    Array,
    array_module,
    default_device,
    from_numpy,
    random_generator,
    to_device,
    to_numpy,
    widen,
)
from step03_gpu.softmax import softmax, softmax_backward
from step03_gpu.masks import (
    causal_mask,
    combine_masks,
    hide,
    key_positions,
    padding_mask,
    sliding_window_mask,
)
from step03_gpu.attention import (
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
from step03_gpu.parameters import Layer, Linear, Parameter, linear, linear_backward, normal, uniform
from step03_gpu.self_attention import AttentionHead, SelfAttention
from step03_gpu.masked_attention import MaskedSelfAttention
from step03_gpu.cross_attention import CrossAttention
from step03_gpu.multi_head_attention import MultiHeadAttention, merge_heads, split_heads
from step03_gpu.positions import alibi_bias, alibi_slopes, frequencies, sinusoidal_positions, sinusoids
from step03_gpu.rotary import Rotary, rotary_angles, rotary_frequencies, rotate, rotate_backward
from step03_gpu.flash_attention import FLASH, flash_attention, flash_attention_backward, on_rung
from step03_gpu.merge import log_sum_exp, log_sum_exp_backward, merge_attention, merge_attention_backward
from step03_gpu.cache import KVCache
from step03_gpu.recording import record

__all__ = [
    "Array", "array_module", "default_device", "from_numpy", "random_generator", "to_device", "to_numpy",
    "widen",
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
    "FLASH", "flash_attention", "flash_attention_backward", "on_rung",
    "log_sum_exp", "log_sum_exp_backward", "merge_attention", "merge_attention_backward",
    "KVCache",
    "record",
]  # fmt: skip
