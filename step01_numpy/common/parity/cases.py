"""The operations that `parity` compares, in reading order: what each is called, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.configuration.recurrent import SCORES, RecurrentConfig

# B, H, H_kv, L, S, D, D_v: sizes no two of which can be mixed up unseen
SIZES = (2, 6, 3, 5, 7, 4, 3)


BERT = {
    "architecture": "encoder", "norm_first": False, "positions": "learned", "activation": "gelu",
    "norm_eps": 1e-12, "scale_embedding": False, "embedding_norm": True, "n_segments": 2,
    "head": "transformed", "head_bias": True,
}  # fmt: skip
GPT_2 = {
    "architecture": "decoder", "positions": "learned", "activation": "gelu_tanh", "scale_embedding": False,
}  # fmt: skip
LLAMA = {
    "architecture": "decoder", "norm": "rms", "positions": "rotary", "rotary_base": 500.0, "n_kv_heads": 1,
    "rotary_scaling": (4.0, 1.0, 4.0, 8), "activation": "silu", "gated": True, "bias": False,
    "scale_embedding": False, "tied": False,
}  # fmt: skip
QWEN_3 = {"head_norm": True, "d_head": 6}
GEMMA_2 = {
    "norm_after": True, "attention_scale": 0.4, "attention_softcap": 2.0, "logit_softcap": 3.0, "window": 3,
    "full_layers": (1,), "n_layers": 2,
}  # fmt: skip
GEMMA_3 = {
    "norm_after": True, "head_norm": True, "rotary_base_windowed": 20.0, "window": 3, "full_layers": (1,),
    "n_layers": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """
    An operation to compare: a function of the face, or a layer of it.

    Attributes
    ----------
    operation : str
        What the table calls it.
    name : str
        The function's or class's name in the stages.
    inputs : callable
        From a random generator to the array arguments.
    family : str
        What it is chosen by, together with its like.
    build : tuple
        Arguments of the layer's constructor.
    options : dict
        Keyword arguments of the call; a callable among them is given the generator.
    by_shape : bool
        Whether it asks, by its shapes alone, for something that not every attention has.
    """

    operation: str
    name: str
    inputs: Callable
    family: str
    build: tuple = ()
    options: dict = field(default_factory=dict)
    by_shape: bool = False

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer, with weights of its own."""
        return self.name[0].isupper()


def _qkv(rng, heads=SIZES[1], kv_heads=SIZES[1], n_queries=SIZES[3], n_keys=SIZES[4], d_v=SIZES[5]):
    batch, d = SIZES[0], SIZES[5]
    q = rng.normal(size=(batch, heads, n_queries, d))
    k = rng.normal(size=(batch, kv_heads, n_keys, d))
    return q, k, rng.normal(size=(batch, kv_heads, n_keys, d_v))


def _lengths(n_queries, n_keys):
    return lambda rng: _qkv(rng, n_queries=n_queries, n_keys=n_keys)


def _rows(length, d_model=6):
    return lambda rng: (rng.normal(size=(SIZES[0], length, d_model)),)


def _two(rng):
    return _rows(5)(rng) + _rows(7)(rng)


def _factors(rng):
    return rng.normal(size=(2, 5, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)


def _logits(rng):
    return rng.normal(size=(5, 7)), rng.integers(0, 7, 5)


def _mask(rng):
    mask = rng.random((SIZES[0], 1, SIZES[3], SIZES[4])) < 0.6
    mask[..., 3] = True  # every query may attend to something
    return mask


def _nothing(rng):
    mask = _mask(rng)
    mask[:, :, 1] = False  # one query may attend to nothing
    return mask


def _bias(rng):
    bias = rng.normal(size=(SIZES[1], SIZES[3], SIZES[4]))
    bias[:, :, 2] = -np.inf
    return bias


def _grouped(rng):
    return _qkv(rng, kv_heads=SIZES[2])


def _wide_values(rng):
    return _qkv(rng, d_v=SIZES[6])


def _rotated(rng):
    angles = rng.normal(size=(SIZES[3], 1))
    return rng.normal(size=(*SIZES[:2], SIZES[3], 4)), np.cos(angles), np.sin(angles)


def _tokens(rng):
    """Source and target of two sentences, the second one shorter, its padding 0."""
    source, target = rng.integers(1, 5, (2, SIZES[4])), rng.integers(1, 5, (2, SIZES[3]))
    source[1, -2:] = target[1, -1:] = 0
    return source, target


def _text(rng):
    """Two texts, the second one shorter and padded on the left, and the mask that says so."""
    mask = np.arange(SIZES[4]) >= [[0], [2]]
    return rng.integers(1, 5, (2, SIZES[4])) * mask, mask


def _model(what, inputs, **options):
    sizes = {"vocab_size": 5, "d_model": 4, "n_heads": 2, "d_ff": 3, "n_layers": 1, "max_positions": 9}
    config = ModelConfig(**sizes | {"dropout": 0.0} | options)
    return Case(f"{config.family}, {what}", config.family, inputs, "models", build=(config,))


def _recurrent(score):
    config = RecurrentConfig(5, d_model=4, d_hidden=6, score=score, dropout=0.0)
    return Case(f"{config.family}, {score}", config.family, _tokens, "models", build=(config,))


def attention_cases(title: str, name: str, family: str) -> list[Case]:
    """Return the cases of an attention, each with one thing that can go wrong."""
    cases = (
        ("plain", _qkv, {}),
        ("masked", _qkv, {"mask": _mask}),
        ("nothing visible", _qkv, {"mask": _nothing}),
        ("causal, L = S", _lengths(6, 6), {"causal": True}),
        ("causal, L < S", _lengths(5, 7), {"causal": True}),
        ("causal, L > S", _lengths(7, 5), {"causal": True}),
        ("offset", _qkv, {"causal": True, "offset": 1}),
        ("window", _qkv, {"window": (2, 1)}),
        ("bias", _qkv, {"bias": _bias}),
        ("scale", _qkv, {"scale": 0.3}),
        ("softcap", _qkv, {"softcap": 2.0}),
        ("bias, softcap", _qkv, {"bias": _bias, "softcap": 2.0}),
        ("grouped heads", _grouped, {}),
        ("D_v ≠ D", _wide_values, {}),
    )
    by_shape = (_grouped, _wide_values)
    return [
        Case(f"{title}, {what}", name, inputs, family, options=options, by_shape=inputs in by_shape)
        for what, inputs, options in cases
    ]


ATTENTION = attention_cases("attention", "scaled_dot_product_attention", "attention")
CASES = [
    Case("softmax", "softmax", _rows(7), "softmax"),
    Case("log-sum-exp", "log_sum_exp", _rows(7), "softmax"),
    Case("linear", "linear", _factors, "layers"),
    Case("rotary positions", "rotate", _rotated, "positions"),
    *ATTENTION,
    Case("self-attention", "SelfAttention", _rows(5), "heads", (6, 4)),
    Case("masked self-attention", "MaskedSelfAttention", _rows(5), "heads", (6, 4)),
    Case("cross-attention", "CrossAttention", _two, "heads", (6, 4)),
    Case("multi-head attention", "MultiHeadAttention", _two, "heads", (6, 3)),
    Case(
        "grouped-query attention", "MultiHeadAttention", _rows(5, 12), "heads", (12, 6, 2), {"causal": True}
    ),
    Case("multi-query attention", "MultiHeadAttention", _rows(5, 12), "heads", (12, 6, 1), {"causal": True}),
    *attention_cases("flash attention", "flash_attention", "flash"),
    Case("GRU", "GRU", _rows(5), "recurrent", (6, 4)),
    Case("bidirectional GRU", "BidirectionalGRU", _rows(5), "recurrent", (6, 4)),
    Case("embedding", "Embedding", lambda r: (r.integers(0, 5, (2, 7)),), "layers", (5, 6)),
    Case("layer norm", "LayerNorm", _rows(5), "layers", (6,)),
    Case("RMS norm", "RMSNorm", _rows(5), "layers", (6,)),
    Case("feed-forward", "FeedForward", _rows(5), "layers", (6, 8)),
    Case("GELU", "gelu", _rows(5), "layers"),
    Case("GELU by tanh", "gelu_tanh", _rows(5), "layers"),
    Case("SiLU", "silu", _rows(5), "layers"),
    *(_recurrent(score) for score in SCORES),
    _model("2017", _tokens, norm_first=False),
    _model("rotary, grouped", _tokens, positions="rotary", n_kv_heads=1),
    _model(
        "Marian", _tokens, norm_first=False, positions="sinusoidal_halves", activation="silu", head_bias=True
    ),
    _model("BERT", _text, **BERT),
    _model("GPT-2", _text, **GPT_2),
    _model("Llama", _text, **LLAMA),
    _model("Mistral", _text, **LLAMA, window=3),
    _model("Qwen 2", _text, **LLAMA, qkv_bias=True),
    _model("Qwen 3", _text, **LLAMA, **QWEN_3),
    _model("Gemma 2", _text, **LLAMA, **GEMMA_2),
    _model("Gemma 3", _text, **LLAMA, **GEMMA_3),
    _model("2017, later norms", _tokens, **QWEN_3, norm_after=True, logit_softcap=3.0),
    Case("cross-entropy", "cross_entropy", _logits, "loss", options={"smoothing": 0.1}),
]


def select(only, cases: list[Case]) -> list[Case]:
    """
    Return the cases that are asked for.

    Parameters
    ----------
    only : iterable of str, or None
        Families, operations, or names of functions and classes; None = all.
    cases : list of Case

    Raises
    ------
    ValueError
        For a name that is none of these, with a list of what there is.
    """
    if only is None:
        return cases
    only = {only} if isinstance(only, str) else set(only)
    known = [{case.family, case.operation, case.name} for case in cases]
    for name in sorted(only - set().union(*known)):
        families = ", ".join(dict.fromkeys(case.family for case in cases))
        operations = "; ".join(case.operation for case in cases)
        raise ValueError(f"{name!r} is no operation; expected a family ({families}) or one of: {operations}")
    return [case for case, names in zip(cases, known, strict=True) if names & only]
