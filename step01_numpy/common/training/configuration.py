"""What a training is made of: the `--config` file."""

from dataclasses import dataclass, field
from pathlib import Path

from step01_numpy.common.configuration.model import Configuration
from step01_numpy.common.support import checks
from step01_numpy.common.support.json_text import parse
from step01_numpy.common.training.tasks import TASKS

SCHEDULES = ("cosine", "inverse_square_root")


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
    hurried : int
        A translator's: of 100 pairs, so many are learned a second time from a source as typed in a hurry.
    calm : bool
        A translator's: exclamations are learned a second time from a source that ends in a full stop.
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
    hurried: int = 0
    calm: bool = False

    def __post_init__(self):
        for name in ("steps", "tokens_per_batch"):
            checks.positive(name, getattr(self, name))
        for name in ("warmup", "seed", "hurried"):
            checks.not_negative(name, getattr(self, name))
        for name in ("peak_rate", "max_norm"):
            checks.above_zero(name, getattr(self, name))
        checks.one_of("schedule", self.schedule, SCHEDULES)
        checks.at_most("hurried", self.hurried, "a hundred", 100)
        checks.is_bool("calm", self.calm)
        checks.rate("label_smoothing", self.label_smoothing)
        if not (checks.is_finite(self.weight_decay) and self.weight_decay >= 0):
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
    plain : bool
        Whether typographic marks are read as those of a keyboard.
    """

    vocab_size: int = 8000
    lowercase: bool = False
    plain: bool = False

    def __post_init__(self):
        checks.positive("vocab_size", self.vocab_size)
        checks.is_bool("lowercase", self.lowercase)
        checks.is_bool("plain", self.plain)


@dataclass(frozen=True)
class RunConfig(Configuration):
    """
    A task and the three parts of a `--config` file.

    Attributes
    ----------
    model : dict
        Fields of the configuration of the task's model, without vocab_size, which the tokenizer decides.
    training : TrainingConfig
    tokenizer : TokenizerConfig
    task : str
        A name in `TASKS`.
    """

    model: dict = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    task: str = "transformer"

    def __post_init__(self):
        if isinstance(self.model, dict) and "vocab_size" in self.model:
            raise ValueError("model has the field 'vocab_size'; expected it in tokenizer")
        self.model_config(vocab_size=1)

    @classmethod
    def from_dict(cls, values: dict):
        """Read the parts, each of which may be missing; fields that are not given are the task's defaults."""
        if isinstance(values, dict):
            task = values.get("task", "transformer")
            checks.one_of("task", task, tuple(TASKS))
            training = values.get("training", {})
            if isinstance(training, dict):
                training = TASKS[task].training | training
            parts = {"training": TrainingConfig.from_dict(training)}
            parts["tokenizer"] = TokenizerConfig.from_dict(values.get("tokenizer", {}))
            values = values | parts
        return super().from_dict(values)

    def model_config(self, vocab_size: int) -> Configuration:
        """Return the model's configuration for a tokenizer of this size."""
        return TASKS[self.task].model_config(vocab_size, self.model)


def read_configuration(path: str | Path, task: str | None = None) -> RunConfig:
    """
    Read a JSON file {"task": name, "model": {...}, "training": {...}, "tokenizer": {...}}.

    Parameters
    ----------
    path : str or Path
        Each part may be missing.
    task : str, optional
        The task that is wanted; the file may name no other.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # of a device there might be no end
            raise ValueError("it is no regular file; expected JSON")
        values = parse(Path(path).read_text(encoding="utf-8"))
        if task is not None and isinstance(values, dict):
            values = {"task": task} | values
        config = RunConfig.from_dict(values)
        if task not in (None, config.task):
            raise ValueError(f"task is {config.task!r}; expected {task!r}, or none in the file")
        return config
    except ValueError as error:  # of JSON, of UTF-8, and ours
        raise ValueError(f"{path}: {error}") from None
