"""The configurations of models that made history, each figure with its source."""

from dataclasses import dataclass

from step01_numpy.common.configuration.model import ModelConfig


@dataclass(frozen=True)
class KnownModel:
    """
    A published model.

    Attributes
    ----------
    config : ModelConfig
    source : str
        Where its figures stand.
    note : str
        How our count relates to the published one.
    """

    config: ModelConfig
    source: str
    note: str


def llama(d_model: int, n_layers: int, n_heads: int, d_ff: int) -> KnownModel:
    """Shape a Llama 3.1: RMSNorm, rotary positions stretched to 131,072 tokens, grouped heads, SwiGLU."""
    config = ModelConfig(
        vocab_size=128256, d_model=d_model, n_heads=n_heads, n_kv_heads=8, d_ff=d_ff, n_layers=n_layers,
        dropout=0.0, norm="rms", activation="silu", gated=True, bias=False, positions="rotary",
        max_positions=131072, rotary_base=500000.0, rotary_scaling=(8.0, 1.0, 4.0, 8192),
        scale_embedding=False, architecture="decoder", tied=False,
    )  # fmt: skip
    source = (
        "The Llama 3 Herd of Models, 2024, table 3, arXiv:2407.21783; of the vocabulary, 128,000 tokens are "
        "text's (section 3.2) and 256 special; d_ff, rotary scaling: config.json of meta-llama/Llama-3.1-*"
    )
    return KnownModel(config, source, "as published")


def later(source: str, **fields) -> KnownModel:
    """Shape what followed Llama: the same norm, positions and gated feed-forward, with fields of its own."""
    common = {
        "dropout": 0.0, "norm": "rms", "activation": "silu", "gated": True, "bias": False, "tied": False,
        "positions": "rotary", "max_positions": 131072, "rotary_base": 1e6, "scale_embedding": False,
        "architecture": "decoder",
    }  # fmt: skip
    return KnownModel(ModelConfig(**common | fields), source, "as published")


def gemma(source: str, n_layers: int, every: int, **fields) -> KnownModel:
    """Shape a Gemma, of whose blocks one of `every` has no window."""
    parts = {
        "activation": "gelu_tanh", "norm_after": True, "scale_embedding": True, "tied": True, "d_head": 256,
        "attention_scale": 1 / 16, "full_layers": tuple(range(every - 1, n_layers, every)),
    }  # fmt: skip
    return later(source, n_layers=n_layers, **parts | fields)


def gpt2(d_model: int, n_layers: int, n_heads: int) -> KnownModel:
    """Shape a GPT-2: pre-norm, learned positions, a tied head."""
    config = ModelConfig(
        vocab_size=50257, d_model=d_model, n_heads=n_heads, d_ff=4 * d_model, n_layers=n_layers,
        activation="gelu_tanh", positions="learned", max_positions=1024, scale_embedding=False,
        architecture="decoder",
    )  # fmt: skip
    source = (
        "Radford et al. 2019, table 2 and section 2.3; heads: hparams.json of github.com/openai/gpt-2, whose "
        "README corrects the table's 117M to 124M"
    )
    return KnownModel(config, source, "as published")


def bert(d_model: int, n_layers: int, n_heads: int, published: int) -> KnownModel:
    """Shape a BERT, uncased: post-norm, learned positions, segments, a masked language model's head."""
    config = ModelConfig(
        vocab_size=30522, d_model=d_model, n_heads=n_heads, d_ff=4 * d_model, n_layers=n_layers,
        norm_first=False, norm_eps=1e-12, activation="gelu", positions="learned", max_positions=512,
        scale_embedding=False, embedding_norm=True, n_segments=2, architecture="encoder",
        head="transformed", head_bias=True,
    )  # fmt: skip
    pooler, classifier = d_model * (d_model + 1), 2 * (d_model + 1)
    note = (
        f"the published file has {published:,}: besides the masked language model, which is counted here, "
        f"it holds a pooler, {pooler:,}, and a next-sentence classifier, {classifier:,}"
    )
    source = "Devlin et al. 2019, section 3, arXiv:1810.04805; config.json of bert-*-uncased"
    return KnownModel(config, source, note)


def transformer(d_model: int, n_heads: int, dropout: float, published: str) -> KnownModel:
    """Shape the Transformer of 2017: post-norm, sinusoids, one matrix for both embeddings and the head."""
    config = ModelConfig(
        vocab_size=37000, d_model=d_model, n_heads=n_heads, d_ff=4 * d_model, n_layers=6,
        dropout=dropout, norm_first=False, max_positions=512,
    )  # fmt: skip
    note = (
        f"the paper says {published} million, and a vocabulary of 'about 37000' tokens, 37,000 here; none "
        "gives both its 65 million (base: it would be some 40,700) and its 213 million (big: some 35,800)"
    )
    return KnownModel(config, "Vaswani et al. 2017, table 3 and section 5.1, arXiv:1706.03762", note)


KNOWN_MODELS = {
    "llama-3.1-8b": llama(4096, 32, 32, 14336),
    "llama-3.1-70b": llama(8192, 80, 64, 28672),
    "llama-3.1-405b": llama(16384, 126, 128, 53248),
    "mistral-nemo": later(
        "Mistral NeMo, July 2024; config.json of mistralai/Mistral-Nemo-Base-2407", vocab_size=131072,
        d_model=5120, n_heads=32, n_kv_heads=8, d_head=128, d_ff=14336, n_layers=40,
    ),
    "qwen2.5-7b": later(
        "Qwen2.5, 2024, table 1, arXiv:2412.15115; config.json of Qwen/Qwen2.5-7B", vocab_size=152064,
        d_model=3584, n_heads=28, n_kv_heads=4, d_ff=18944, n_layers=28, qkv_bias=True,
    ),
    "qwen3-8b": later(
        "Qwen3, 2025, table 1, arXiv:2505.09388; config.json of Qwen/Qwen3-8B", vocab_size=151936,
        d_model=4096, n_heads=32, n_kv_heads=8, d_head=128, d_ff=12288, n_layers=36, head_norm=True,
        max_positions=40960,
    ),
    "gemma-2-9b": gemma(
        "Gemma 2, 2024, table 1, arXiv:2408.00118; config.json of google/gemma-2-9b", 42, 2,
        vocab_size=256000, d_model=3584, n_heads=16, n_kv_heads=8, d_ff=14336, window=4096,
        rotary_base=1e4, max_positions=8192, attention_softcap=50.0, logit_softcap=30.0,
    ),
    "gemma-3-1b": gemma(
        "Gemma 3, 2025, table 1, arXiv:2503.19786; config.json of google/gemma-3-1b-pt", 26, 6,
        vocab_size=262144, d_model=1152, n_heads=4, n_kv_heads=1, d_ff=6912, window=512, head_norm=True,
        rotary_base_windowed=1e4, max_positions=32768,
    ),
    "gpt2": gpt2(768, 12, 12),
    "gpt2-xl": gpt2(1600, 48, 25),
    "bert-base": bert(768, 12, 12, 110_106_428),
    "bert-large": bert(1024, 24, 16, 336_226_108),
    "transformer-base": transformer(512, 8, 0.1, "65"),
    "transformer-big": transformer(1024, 16, 0.3, "213"),
}  # fmt: skip
