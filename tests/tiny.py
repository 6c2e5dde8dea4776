"""A checkpoint small enough to make in a test, and the text it knows."""

import numpy as np

import step01_numpy
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint

PAIRS = [
    ("They arrived late.", "Ils sont arrivés tard."),
    ("She sees the house.", "Elle voit la maison."),
    ("The agreement was signed.", "L'accord a été signé."),
    ("The house was sold in August.", "La maison a été vendue en août."),
]
CONFIG = '{"model": {"d_model": 8, "d_ff": 8, "n_heads": 2, "n_layers": 2, "max_positions": 24}, '
CONFIG += '"training": {"steps": 6, "warmup": 2, "tokens_per_batch": 60}, "tokenizer": {"vocab_size": 90}}'


def tiny_checkpoint(seed=0, **model):
    """Random weights, scaled up so that they are sure of what they say."""
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 90)
    fields = {"d_model": 8, "n_heads": 2, "d_ff": 8, "n_layers": 2, "max_positions": 24, **model}
    return random_checkpoint(tokenizer, ModelConfig(tokenizer.vocab_size, **fields), seed)


def tiny_recurrent(seed=0, **model):
    """The same of a recurrent translator."""
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 90)
    fields = {"d_model": 8, "d_hidden": 6, "max_positions": 24, **model}
    return random_checkpoint(tokenizer, RecurrentConfig(tokenizer.vocab_size, **fields), seed)


def random_checkpoint(tokenizer, config, seed):
    backend = Backend(step01_numpy)
    built = backend.model(config, rng=np.random.default_rng(seed))
    state = {name: (3 * x).astype(np.float32) for name, x in backend.state(built).items()}
    return Checkpoint(state, config, tokenizer)


def write_corpus(directory, split="train", repeat=3):
    """Write line files, and return their directory."""
    for side, language in enumerate(("en", "fr")):
        lines = [pair[side] + "\n" for pair in PAIRS] * repeat
        (directory / f"{split}.{language}").write_text("".join(lines), encoding="utf-8")
    return directory
