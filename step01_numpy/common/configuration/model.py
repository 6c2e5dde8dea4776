"""What a model is made of, checked on entry: a wrong value is refused by its name."""

import dataclasses
from dataclasses import dataclass

from step01_numpy.common.support import checks
from step01_numpy.common.support.options import own

ARCHITECTURES = ("encoder_decoder", "encoder", "decoder")
NORMS = ("layer", "rms")
ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu")
POSITIONS = ("sinusoidal", "sinusoidal_halves", "learned", "rotary")
HEADS = ("linear", "transformed", "none")


class Configuration:
    """What the configurations share: the way to a dict and back, as JSON keeps it."""

    def __post_init__(self):
        for x in dataclasses.fields(self):
            object.__setattr__(self, x.name, own(getattr(self, x.name)))

    def to_dict(self) -> dict:
        """Return the fields by name, in JSON's types."""
        return {name: list(x) if isinstance(x, tuple) else x for name, x in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict):
        """
        Read what `to_dict` wrote.

        Parameters
        ----------
        values : dict
            Fields by name; those with a default may be missing.

        Raises
        ------
        ValueError
            For an unknown or missing field, or a value that the field does not take.
        """
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__} is {values!r}; expected an object of fields by name")
        fields = {x.name: x for x in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}; it has {', '.join(fields)}")
        missing = [x.name for x in fields.values() if _is_required(x) and x.name not in values]
        if missing:
            raise ValueError(f"{cls.__name__} needs the field {missing[0]!r}")
        return cls(**{name: tuple(x) if isinstance(x, list) else x for name, x in values.items()})


@dataclass(frozen=True)
class ModelConfig(Configuration):
    """
    The shape of a Transformer: of 2017, BERT, GPT-2, Llama, Mistral, Marian, or of your own.

    Attributes
    ----------
    vocab_size : int
    d_model, n_heads : int
        n_heads divides d_model, unless d_head is given.
    n_kv_heads : int or None
        Key/value heads, dividing n_heads; as many as heads when None.
    d_head : int or None
        Size of a head; d_model / n_heads when None.
    d_ff, n_layers : int
        Width of the feed-forward; blocks in the encoder, and as many in the decoder.
    dropout : float
        Probability, at least 0 and below 1.
    norm_first : bool
        Pre-norm, or the post-norm of 2017.
    norm_after : bool
        With pre-norm: whether a second norm follows each sublayer, before it is added.
    positions : "sinusoidal", "sinusoidal_halves", "learned" or "rotary"
    max_positions : int
        Longest sequence.
    architecture : "encoder_decoder", "encoder" or "decoder"
    norm : "layer" or "rms"
    norm_eps : float
    activation : "relu", "gelu", "gelu_tanh" or "silu"
        Of the feed-forward.
    gated : bool
        Whether the feed-forward is gated, as in SwiGLU.
    bias : bool
        Whether the linear maps of attention and feed-forward add one.
    qkv_bias : bool or None
        Whether those to q, k and v do; as `bias` when None.
    rotary_base : float
    rotary_base_windowed : float or None
        That of blocks with a window, which are then not scaled; as the others when None.
    rotary_scaling : (factor, low, high, n_positions) or None
        As in `rotary_frequencies`.
    head_norm : bool
        Whether each head's queries and keys are brought to root mean square 1 before they turn.
    attention_scale, attention_softcap : float or None
        `scale` and `softcap` of the attention, as in `scaled_dot_product_attention`.
    window : int or None
        How many of the newest tokens, itself included, a token sees; all when None.
    full_layers : tuple of int
        Blocks, counted from 0, that have no window.
    scale_embedding : bool
        Whether embeddings are multiplied by √d_model.
    embedding_norm : bool
        Whether a norm follows the sum of embeddings, positions and segments.
    n_segments : int
        Kinds of text that are told apart; 0 for no such embedding.
    tied : bool
        Whether the embedding's matrix makes the logits, or one of its own.
    head : "linear", "transformed" or "none"
        What makes the logits of hidden rows; "transformed" is BERT's.
    head_bias : bool
        Whether the logits have a bias.
    logit_softcap : float or None
        c in c·tanh(logits / c), which keeps them within ±c.
    pad : int
        The token that is no text.
    """

    vocab_size: int
    d_model: int = 128
    n_heads: int = 4
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_ff: int = 256
    n_layers: int = 3
    dropout: float = 0.1
    norm_first: bool = True
    norm_after: bool = False
    positions: str = "sinusoidal"
    max_positions: int = 256
    architecture: str = "encoder_decoder"
    norm: str = "layer"
    norm_eps: float = 1e-5
    activation: str = "relu"
    gated: bool = False
    bias: bool = True
    qkv_bias: bool | None = None
    rotary_base: float = 10000.0
    rotary_base_windowed: float | None = None
    rotary_scaling: tuple[float, ...] | None = None
    head_norm: bool = False
    attention_scale: float | None = None
    attention_softcap: float | None = None
    window: int | None = None
    full_layers: tuple[int, ...] = ()
    scale_embedding: bool = True
    embedding_norm: bool = False
    n_segments: int = 0
    tied: bool = True
    head: str = "linear"
    head_bias: bool = False
    logit_softcap: float | None = None
    pad: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name in ("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "max_positions"):
            checks.positive(name, getattr(self, name))
        checks.head_size(self.d_head, self.d_model, self.n_heads)
        if self.n_kv_heads is not None:
            checks.divides("n_kv_heads", self.n_kv_heads, "n_heads", self.n_heads)
        checks.rate("dropout", self.dropout)
        for name in ("norm_eps", "rotary_base"):
            checks.above_zero(name, getattr(self, name))
        for name in ("rotary_base_windowed", "attention_scale", "attention_softcap", "logit_softcap"):
            if getattr(self, name) is not None:
                checks.above_zero(name, getattr(self, name))
        if self.norm_after and not self.norm_first:
            raise ValueError("norm_after is true; expected norm_first to be so too: post-norm has no second")
        checks.not_negative("n_segments", self.n_segments)
        checks.token("pad", self.pad, self.vocab_size)
        norms = ("norm_first", "norm_after", "head_norm", "embedding_norm")
        for name in (*norms, "gated", "bias", "scale_embedding", "tied", "head_bias"):
            checks.is_bool(name, getattr(self, name))
        if self.qkv_bias is not None:
            checks.is_bool("qkv_bias", self.qkv_bias)
        checks.one_of("architecture", self.architecture, ARCHITECTURES)
        checks.one_of("norm", self.norm, NORMS)
        checks.one_of("activation", self.activation, ACTIVATIONS)
        checks.one_of("head", self.head, HEADS)
        if self.head == "none" and (self.head_bias or self.architecture == "encoder_decoder"):
            raise ValueError(
                "head is 'none'; expected one that makes logits, for a bias and for a translator"
            )
        if self.n_segments and self.architecture == "encoder_decoder":
            raise ValueError(f"n_segments is {self.n_segments}; expected 0 for an encoder-decoder")
        self._check_positions()

    def _check_positions(self):
        checks.one_of("positions", self.positions, POSITIONS)
        if self.positions.startswith("sinusoidal"):
            checks.divides("2", 2, "d_model", self.d_model)
        if self.positions == "rotary":
            checks.divides("2", 2, "the head size", self.head_size)
        if self.window is not None:
            checks.positive("window", self.window)
        checks.block_numbers("full_layers", self.full_layers, self.n_layers)
        if self.full_layers and self.window is None:
            raise ValueError("full_layers are given; expected a window, which the other blocks have")
        if self.rotary_scaling is not None:
            checks.rotary_scaling(self.rotary_scaling)

    @property
    def head_size(self) -> int:
        """D, the numbers of a head's query or key."""
        return checks.head_size(self.d_head, self.d_model, self.n_heads)

    @property
    def biases_qkv(self) -> bool:
        """Whether the linear maps to q, k and v add a bias."""
        return self.bias if self.qkv_bias is None else self.qkv_bias

    def window_of(self, number: int) -> int | None:
        """Return the window of a block, counted from 0."""
        return None if number in self.full_layers else self.window

    @property
    def family(self) -> str:
        """The name of the class that builds it."""
        return "Transformer" if self.architecture == "encoder_decoder" else "LanguageModel"


def _is_required(x):
    return x.default is dataclasses.MISSING and x.default_factory is dataclasses.MISSING
