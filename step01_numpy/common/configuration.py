"""What a model and its training are made of, checked on entry: a wrong value is refused by its name."""

import dataclasses
import json
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from step01_numpy.common import checks

POSITIONS = ("sinusoidal", "sinusoidal_halves", "learned", "rotary")
SCHEDULES = ("cosine", "inverse_square_root")


class Configuration:
    """What the configurations share: the way to a dict and back, as JSON keeps it."""

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
    The shape of a Transformer.

    Attributes
    ----------
    vocab_size : int
    d_model, n_heads : int
        n_heads divides d_model.
    n_kv_heads : int or None
        Key/value heads, dividing n_heads; as many as heads when None.
    d_ff, n_layers : int
        Width of the feed-forward; blocks in the encoder, and as many in the decoder.
    dropout : float
        Probability, at least 0 and below 1.
    norm_first : bool
        Pre-norm, or the post-norm of 2017.
    positions : "sinusoidal", "learned" or "rotary"
    max_positions : int
        Longest sequence.
    """

    vocab_size: int
    d_model: int = 128
    n_heads: int = 4
    n_kv_heads: int | None = None
    d_ff: int = 256
    n_layers: int = 3
    dropout: float = 0.1
    norm_first: bool = True
    norm: str = "layer"
    norm_eps: float = 1e-5
    activation: str = "relu"
    gated: bool = False
    bias: bool = True
    positions: str = "sinusoidal"
    max_positions: int = 256
    rotary_base: float = 10000.0
    rotary_scaling: tuple | None = None
    window: int | None = None
    scale_embedding: bool = True
    embedding_norm: bool = False
    n_segments: int = 0
    architecture: str = "encoder_decoder"
    tied: bool = True
    head: str = "linear"
    head_bias: bool = False
    pad: int = 0

    def __post_init__(self):
        for name in ("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "max_positions"):
            checks.positive(name, getattr(self, name))
        checks.divides("n_heads", self.n_heads, "d_model", self.d_model)
        if self.n_kv_heads is not None:
            checks.divides("n_kv_heads", self.n_kv_heads, "n_heads", self.n_heads)
        checks.rate("dropout", self.dropout)
        _is_bool("norm_first", self.norm_first)
        _one_of("positions", self.positions, POSITIONS)
        if self.positions == "sinusoidal":
            checks.divides("2", 2, "d_model", self.d_model)
        if self.positions == "rotary":
            checks.divides("2", 2, "the head size", self.d_model // self.n_heads)


@dataclass(frozen=True)
class TrainingConfig(Configuration):
    """
    How a model is trained.

    Attributes
    ----------
    steps : int
        Updates; the cosine schedule ends with the last.
    tokens_per_batch : int
        Padded tokens of a batch, at most.
    peak_rate : float
        Largest learning rate, at the end of the warm-up.
    warmup : int
        Updates over which the rate rises; 0 for none.
    schedule : "cosine" or "inverse_square_root"
    label_smoothing : float
        Probability given to all tokens alike, at least 0 and below 1.
    max_norm : float
        Gradients of a larger norm are scaled down to it.
    weight_decay : float
        At least 0.
    betas : (float, float)
        AdamW's decay rates, at least 0 and below 1.
    seed : int
        Of the one generator that draws weights, dropout and batches.
    """

    steps: int = 1550
    tokens_per_batch: int = 2500
    peak_rate: float = 3e-3
    warmup: int = 400
    schedule: str = "cosine"
    label_smoothing: float = 0.1
    max_norm: float = 1.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "tokens_per_batch"):
            checks.positive(name, getattr(self, name))
        for name in ("warmup", "seed"):
            _not_negative(name, getattr(self, name))
        for name in ("peak_rate", "max_norm"):
            _above_zero(name, getattr(self, name))
        _one_of("schedule", self.schedule, SCHEDULES)
        checks.rate("label_smoothing", self.label_smoothing)
        if not _is_number(self.weight_decay) or self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay!r}; expected a number of at least 0")
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise ValueError(f"betas is {self.betas!r}; expected two numbers")
        for i, beta in enumerate(self.betas):
            checks.rate(f"betas[{i}]", beta)


@dataclass(frozen=True)
class TokenizerConfig(Configuration):
    """
    How a tokenizer is trained.

    Attributes
    ----------
    vocab_size : int
        Most tokens it may have; a small corpus gives fewer.
    lowercase : bool
        Whether case is thrown away.
    """

    vocab_size: int = 8000
    lowercase: bool = False

    def __post_init__(self):
        checks.positive("vocab_size", self.vocab_size)
        _is_bool("lowercase", self.lowercase)


@dataclass(frozen=True)
class RunConfig(Configuration):
    """
    The three parts of a `--config` file.

    Attributes
    ----------
    model : dict
        Fields of `ModelConfig` without vocab_size, which the tokenizer decides.
    training : TrainingConfig
    tokenizer : TokenizerConfig
    """

    model: dict = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def __post_init__(self):
        if isinstance(self.model, dict) and "vocab_size" in self.model:
            raise ValueError("model has the field 'vocab_size'; expected it in tokenizer")
        self.model_config(vocab_size=1)

    @classmethod
    def from_dict(cls, values: dict):
        """Read the three parts, each of which may be missing."""
        parts = {"training": TrainingConfig, "tokenizer": TokenizerConfig}
        if isinstance(values, dict):
            values = {name: parts[name].from_dict(x) if name in parts else x for name, x in values.items()}
        return super().from_dict(values)

    def model_config(self, vocab_size: int) -> ModelConfig:
        """Return the model's configuration for a tokenizer of this size."""
        given = {**self.model, "vocab_size": vocab_size} if isinstance(self.model, dict) else self.model
        return ModelConfig.from_dict(given)


def read_configuration(path: str | Path) -> RunConfig:
    """Read a JSON file {"model": {...}, "training": {...}, "tokenizer": {...}}; each part may be missing."""
    try:
        return RunConfig.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, and ours
        raise ValueError(f"{path}: {error}") from None


def _is_required(x):
    return x.default is dataclasses.MISSING and x.default_factory is dataclasses.MISSING


def _is_number(x):
    return isinstance(x, int | float) and not isinstance(x, bool) and isfinite(x)


def _above_zero(name, value):
    if not _is_number(value) or value <= 0:
        raise ValueError(f"{name} is {value!r}; expected a number above 0")


def _not_negative(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 0")


def _is_bool(name, value):
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected true or false")


def _one_of(name, value, names):
    if value not in names:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(names)}")
