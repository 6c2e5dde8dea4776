"""The models of a stage, used with NumPy arrays: what the command line needs, the same for every stage."""

from contextlib import nullcontext
from inspect import signature
from types import ModuleType

import numpy as np

from step01_numpy.common.configuration.model import Configuration
from step01_numpy.common.support import ranges
from step01_numpy.common.training.checkpoints import Checkpoint
from step01_numpy.common.training.configuration import TrainingConfig


class Backend:
    """
    A stage's models, optimizer, training and decoding.

    Parameters
    ----------
    package : module
        The stage: its arrays and its attention.
    models : module, optional
        Where its models come from when it writes none itself, as step03: they are given the stage's attention
        and moved to its device.
    attend : optional
        What models attend with that are not told otherwise: the stage's `STANDARD` when not given.
    """

    def __init__(self, package: ModuleType, models: ModuleType | None = None, attend=None):
        self.package, self.models = package, package if models is None else models
        self.name, self.attend = package.__name__, attend

    def model(self, config: Configuration, *, attend=None, rng=None):
        """Build the model of a configuration, with this stage's attention or another, in float32."""
        build, options = getattr(self.models, config.family), {"rng": rng}
        if "attend" in signature(build).parameters:  # a recurrent model's attention is of its own kind
            attend = self.attend if attend is None else attend
            options["attend"] = self.package.STANDARD if attend is None else attend
        return self._on_device(build(config, **options))

    def load(self, checkpoint: Checkpoint, *, attend=None, rng=None):
        """Build the checkpoint's model, dropout switched off."""
        model = self.model(checkpoint.config, attend=attend, rng=rng)
        model.load_state_dict(checkpoint.state)
        model.eval()
        return model

    def prepare(self, model):
        """Lay out a model's weights for decoding one text or a few, in place, and return it."""
        return self.models.prepare(model)

    def _on_device(self, layer):
        return self.package.to_device(layer) if self.models is not self.package else layer

    def recording(self, maps: list):
        """Return the stage's attention, which will append the weights of each call to `maps`."""
        return self.package.record(self.package.STANDARD, maps)

    def numpy(self, x) -> np.ndarray:
        """Copy an array of this stage into a NumPy array, or keep one that is."""
        return x if isinstance(x, np.ndarray | np.generic) else self.package.to_numpy(x)

    def state(self, owner) -> dict[str, np.ndarray]:
        """Return the arrays that a model or an optimizer remembers, by name."""
        return {name: np.array(self.numpy(x)) for name, x in owner.state_dict().items()}

    def start(self, model, *inputs: np.ndarray) -> "Decoding":
        """Read source sentences, or prompts and their mask, and stand before what follows."""
        cache = self.models.start(model, *map(self.package.from_numpy, inputs))
        return Decoding(self, model, cache)

    def logits(self, model, *inputs: np.ndarray) -> np.ndarray:
        """Return the logits of the full forward."""
        return self.numpy(model(*map(self.package.from_numpy, inputs)))

    def optimizer(self, model, config: TrainingConfig):
        """Build the optimizer of a training."""
        return self.models.AdamW(
            model.named_parameters(), betas=config.betas, weight_decay=config.weight_decay
        )

    def train(self, model, batches, optimizer, config: TrainingConfig, first_step: int):
        """Train for as long as the caller asks for more; yields the stage's `Progress`."""
        return self.models.train(model, batches, optimizer, config, first_step=first_step)


class Decoding:
    """A text in progress: what `search` calls."""

    def __init__(self, backend: Backend, model, cache):
        self.backend, self.model, self.cache = backend, model, cache

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Feed each row's newest token, (rows,), and return the next one's logits, (rows, vocab_size)."""
        with self._checked(tokens):
            tokens = self.backend.package.from_numpy(tokens)
            logits = self.backend.models.step(self.model, tokens, self.cache)
        return self.backend.numpy(logits)

    def _checked(self, tokens):
        """Check on the host what is known there: on a device a token then waits for its logits alone."""
        config = self.model.config
        ranges.tokens("tokens", tokens, config.vocab_size)
        seen = getattr(self.cache, "length", None)  # padding included: positions may be fewer, never more
        known = seen is not None and seen < config.max_positions
        return ranges.in_range() if known else nullcontext()

    def reorder(self, rows: np.ndarray) -> None:
        """Let row b continue what was row `rows[b]`."""
        self.cache.reorder(self.backend.package.from_numpy(rows))
