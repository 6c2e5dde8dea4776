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
    build : tuple
        Arguments of the layer's constructor.
    options : dict
        Keyword arguments of the call; a callable among them is given the generator.
    """

    operation: str
    name: str
    inputs: Callable
    build: tuple = ()
    options: dict = field(default_factory=dict)

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer, with weights of its own."""
        return self.name[0].isupper()


def _qkv(rng, heads=SIZES[1], kv_heads=SIZES[1]):
    batch, _, _, n_queries, n_keys, d, d_v = SIZES
    q = rng.normal(size=(batch, heads, n_queries, d))
    k = rng.normal(size=(batch, kv_heads, n_keys, d))
    return q, k, rng.normal(size=(batch, kv_heads, n_keys, d_v))


def _rows(length, d_model=6):
    return lambda rng: (rng.normal(size=(SIZES[0], length, d_model)),)


def _mask(rng):
    mask = rng.random((SIZES[0], 1, SIZES[3], SIZES[4])) < 0.6
    mask[:, :, 1] = False  # one query may attend to nothing
    return mask


def _bias(rng):
    bias = rng.normal(size=(SIZES[1], SIZES[3], SIZES[4]))
    bias[:, :, 2] = -np.inf
    return bias


def _grouped(rng):
    return _qkv(rng, kv_heads=SIZES[2])


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
    config = ModelConfig(**sizes, dropout=0.0, **options)
    return Case(f"{config.family}, {what}", config.family, inputs, build=(config,))


def _recurrent(score):
    config = RecurrentConfig(5, d_model=4, d_hidden=6, score=score, dropout=0.0)
    return Case(f"{config.family}, {score}", config.family, _tokens, build=(config,))


def _sdpa(what, inputs=_qkv, **options):
    return Case(f"attention, {what}", "scaled_dot_product_attention", inputs, options=options)


def _flash(what, inputs=_qkv, **options):
    return Case(f"flash attention, {what}", "flash_attention", inputs, options=options)


CASES = [
    Case("softmax", "softmax", _rows(7)),
    Case("log-sum-exp", "log_sum_exp", _rows(7)),
    Case("linear", "linear", lambda r: (r.normal(size=(2, 5, 4)), r.normal(size=(3, 4)), r.normal(size=3))),
    Case("rotary positions", "rotate", _rotated),
    _sdpa("plain"),
    _sdpa("causal", causal=True),
    _sdpa("masked", mask=_mask),
    _sdpa("window", window=(2, 1)),
    _sdpa("bias, softcap", bias=_bias, softcap=2.0),
    _sdpa("grouped heads", _grouped, causal=True),
    Case("self-attention", "SelfAttention", _rows(5), build=(6, 4)),
    Case("masked self-attention", "MaskedSelfAttention", _rows(5), build=(6, 4)),
    Case("cross-attention", "CrossAttention", lambda r: _rows(5)(r) + _rows(7)(r), build=(6, 4)),
    Case("multi-head attention", "MultiHeadAttention", lambda r: _rows(5)(r) + _rows(7)(r), build=(6, 3)),
    Case("grouped-query attention", "MultiHeadAttention", _rows(5, 12), (12, 6, 2), options={"causal": True}),
    Case("multi-query attention", "MultiHeadAttention", _rows(5, 12), (12, 6, 1), options={"causal": True}),
    _flash("plain"),
    _flash("causal", causal=True),
    _flash("masked", mask=_mask),
    _flash("window", window=(2, 1)),
    _flash("bias, softcap", bias=_bias, softcap=2.0),
    _flash("grouped heads", _grouped, causal=True),
    Case("GRU", "GRU", _rows(5), build=(6, 4)),
    Case("bidirectional GRU", "BidirectionalGRU", _rows(5), build=(6, 4)),
    Case("embedding", "Embedding", lambda r: (r.integers(0, 5, (2, 7)),), build=(5, 6)),
    Case("layer norm", "LayerNorm", _rows(5), build=(6,)),
    Case("RMS norm", "RMSNorm", _rows(5), build=(6,)),
    Case("feed-forward", "FeedForward", _rows(5), build=(6, 8)),
    Case("GELU", "gelu", _rows(5)),
    Case("GELU by tanh", "gelu_tanh", _rows(5)),
    Case("SiLU", "silu", _rows(5)),
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
    Case(
        "cross-entropy",
        "cross_entropy",
        lambda r: (r.normal(size=(5, 7)), r.integers(0, 7, 5)),
        options={"smoothing": 0.1},
    ),
]
