"""
The tensors of Hugging Face's model files: what each is called, and how it is laid out, there and here.

One table a family, keyed by the `model_type` of config.json in `TABLE`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """How one tensor of theirs holds one or several of ours."""

    split: Callable  # their array -> our arrays
    shape: Callable  # our shapes -> their shape


def turned(x: np.ndarray) -> list[np.ndarray]:
    """Return what GPT-2's Conv1D keeps as (d_in, d_out); a bias stays as it is."""
    return [x.T]


def fused(x: np.ndarray) -> list[np.ndarray]:
    """Return the maps to q, k and v, which GPT-2's c_attn keeps side by side, as (d, 3 · d)."""
    return np.split(x.T, 3)


def only_row(x: np.ndarray) -> list[np.ndarray]:
    """Return the one row of a matrix."""
    return [x[0]]


def from_one(x: np.ndarray) -> list[np.ndarray]:
    """Return the weight of a norm that Gemma keeps as its distance from 1."""
    return [1 + x]


SAME = Layout(lambda x: [x], lambda a: a)
TURNED = Layout(turned, lambda a: a[::-1])
FUSED = Layout(fused, lambda q, k, v: (*q[:0:-1], q[0] + k[0] + v[0]))
FROM_ONE = Layout(from_one, lambda a: a)
ROW = Layout(only_row, lambda a: (1, *a))


class Keys(NamedTuple):
    """
    A family's table.

    A name without .weight or .bias stands for both. {i} is the number of a layer; ours may be several names,
    which the layout then takes out of one tensor.
    """

    prefix: str  # a file's names of the body either all have it or all lack it
    body: dict[str, str | tuple]
    head: dict[str, str | tuple]
    unused: tuple[str, ...]  # patterns of what our models compute, or do without
    copies: dict[str, str]  # with a tied head: what must equal another tensor, where the file holds both
    layouts: dict[str, Layout]
    spellings: dict[str, str]  # endings of names, and those that some files have instead


def _block(names: dict[str, str], ours: str) -> dict[str, str]:
    return {theirs: f"{ours}.blocks.{{i}}.{name}" for theirs, name in names.items()}


BERT = Keys(
    prefix="bert.",
    body={
        "embeddings.word_embeddings": "embedding",
        "embeddings.position_embeddings": "stack.input.learned",
        "embeddings.token_type_embeddings": "stack.input.segments",
        "embeddings.LayerNorm": "stack.input.norm",
        **_block(
            {
                "encoder.layer.{i}.attention.self.query": "self_attention.w_q",
                "encoder.layer.{i}.attention.self.key": "self_attention.w_k",
                "encoder.layer.{i}.attention.self.value": "self_attention.w_v",
                "encoder.layer.{i}.attention.output.dense": "self_attention.w_o",
                "encoder.layer.{i}.attention.output.LayerNorm": "self_attention_residual.norm",
                "encoder.layer.{i}.intermediate.dense": "feed_forward.w_1",
                "encoder.layer.{i}.output.dense": "feed_forward.w_2",
                "encoder.layer.{i}.output.LayerNorm": "feed_forward_residual.norm",
            },
            "stack",
        ),
    },
    head={
        "cls.predictions.transform.dense": "head.dense",
        "cls.predictions.transform.LayerNorm": "head.norm",
        "cls.predictions.decoder.weight": "head.weight",
        "cls.predictions.decoder.bias": "head.bias",
    },
    unused=("pooler.*", "cls.*", "embeddings.position_ids", "embeddings.token_type_ids"),
    copies={
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.bias": "cls.predictions.decoder.bias",
    },
    layouts={},
    spellings={
        "LayerNorm.weight": "LayerNorm.gamma",  # in files of 2018
        "LayerNorm.bias": "LayerNorm.beta",
        "predictions.decoder.bias": "predictions.bias",
    },
)

GPT2 = Keys(
    prefix="transformer.",
    body={
        "wte": "embedding",
        "wpe": "stack.input.learned",
        "ln_f": "stack.norm",
        "h.{i}.attn.c_attn": tuple(f"stack.blocks.{{i}}.self_attention.{w}" for w in ("w_q", "w_k", "w_v")),
        **_block(
            {
                "h.{i}.ln_1": "self_attention_residual.norm",
                "h.{i}.attn.c_proj": "self_attention.w_o",
                "h.{i}.ln_2": "feed_forward_residual.norm",
                "h.{i}.mlp.c_fc": "feed_forward.w_1",
                "h.{i}.mlp.c_proj": "feed_forward.w_2",
            },
            "stack",
        ),
    },
    head={"lm_head.weight": "head.weight"},
    unused=("h.*.attn.bias", "h.*.attn.masked_bias", "lm_head.weight"),  # causal masks
    copies={"lm_head.weight": "wte.weight"},
    layouts={"c_attn": FUSED, "c_proj": TURNED, "c_fc": TURNED},
    spellings={},
)

LLAMA = Keys(
    prefix="model.",
    body={
        "embed_tokens": "embedding",
        "norm": "stack.norm",
        **_block(
            {
                "layers.{i}.input_layernorm": "self_attention_residual.norm",
                "layers.{i}.self_attn.q_proj": "self_attention.w_q",
                "layers.{i}.self_attn.k_proj": "self_attention.w_k",
                "layers.{i}.self_attn.v_proj": "self_attention.w_v",
                "layers.{i}.self_attn.o_proj": "self_attention.w_o",
                "layers.{i}.post_attention_layernorm": "feed_forward_residual.norm",
                "layers.{i}.mlp.gate_proj": "feed_forward.w_1",
                "layers.{i}.mlp.down_proj": "feed_forward.w_2",
                "layers.{i}.mlp.up_proj": "feed_forward.w_3",
            },
            "stack",
        ),
    },
    head={"lm_head.weight": "head.weight"},
    unused=("layers.*.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq", "lm_head.weight"),
    copies={"lm_head.weight": "embed_tokens.weight"},
    layouts={},
    spellings={},
)

_MARIAN_LAYER = {
    "self_attn.q_proj": "self_attention.w_q",
    "self_attn.k_proj": "self_attention.w_k",
    "self_attn.v_proj": "self_attention.w_v",
    "self_attn.out_proj": "self_attention.w_o",
    "self_attn_layer_norm": "self_attention_residual.norm",
    "encoder_attn.q_proj": "cross_attention.w_q",
    "encoder_attn.k_proj": "cross_attention.w_k",
    "encoder_attn.v_proj": "cross_attention.w_v",
    "encoder_attn.out_proj": "cross_attention.w_o",
    "encoder_attn_layer_norm": "cross_attention_residual.norm",
    "fc1": "feed_forward.w_1",
    "fc2": "feed_forward.w_2",
    "final_layer_norm": "feed_forward_residual.norm",
}
MARIAN = Keys(
    prefix="model.",
    body={"shared": "embedding"}
    | _block({f"encoder.layers.{{i}}.{name}": ours for name, ours in _MARIAN_LAYER.items()}, "encoder")
    | _block({f"decoder.layers.{{i}}.{name}": ours for name, ours in _MARIAN_LAYER.items()}, "decoder"),
    head={"lm_head.weight": "head.weight", "final_logits_bias": "head.bias"},
    unused=("encoder.embed_*.weight", "decoder.embed_*.weight", "lm_head.weight"),  # positions, copies
    copies=dict.fromkeys(
        ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), "shared.weight"
    ),
    layouts={"final_logits_bias": ROW},
    spellings={},
)
_HEAD_NORMS = {
    "layers.{i}.self_attn.q_norm": "self_attention.w_q.norm",
    "layers.{i}.self_attn.k_norm": "self_attention.w_k.norm",
}
QWEN3 = LLAMA._replace(body=LLAMA.body | _block(_HEAD_NORMS, "stack"))
_GEMMA_NORMS = {
    "layers.{i}.input_layernorm": "self_attention_residual.norm",
    "layers.{i}.post_attention_layernorm": "self_attention_residual.norm_after",
    "layers.{i}.pre_feedforward_layernorm": "feed_forward_residual.norm",
    "layers.{i}.post_feedforward_layernorm": "feed_forward_residual.norm_after",
}
GEMMA2 = LLAMA._replace(
    body=LLAMA.body | _block(_GEMMA_NORMS, "stack"),
    layouts=dict.fromkeys(("norm", *(name.split(".")[-1] for name in _GEMMA_NORMS)), FROM_ONE),
)
GEMMA3 = GEMMA2._replace(
    body=GEMMA2.body | _block(_HEAD_NORMS, "stack"),
    layouts=GEMMA2.layouts | dict.fromkeys(("q_norm", "k_norm"), FROM_ONE),
)
TABLE = {
    "bert": BERT,
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "marian": MARIAN,
}
