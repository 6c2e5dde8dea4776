"""What a tour shows of a recurrent translator: the words that its decoder looked at, step by step."""

import dataclasses

import numpy as np

from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.display.heat_map import readable
from step01_numpy.common.display.tour import (
    CROSS,
    Operation,
    Tour,
    capture,
    in_words,
    read_and_written,
    translated,
)
from step01_numpy.common.text.tokenizer import BOS
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint

ALIGNMENT = "alignment of the recurrent translator"
NAME = "the recurrent translator"
# Of a score: the title of its attention and the name of its map; the others are of 2015.
TITLES = {
    "additive": ("Additive attention of 2014: each French token asks the English ones", "of 2014, additive"),
    "none": ("Without attention: each French token is given one vector of the sentence", "without attention"),
}
TITLE = ("Attention of 2015, score {score}: each French token asks the English ones", "of 2015, {score}")
SENTENCE = "sentence"  # label of the one column that a model without attention has


def alignment(backend: Backend, checkpoint: Checkpoint, text: str) -> Tour:
    """
    Translate a sentence with a recurrent translator, and look at its attention on the way.

    Raises
    ------
    ValueError
        For a text without a token, or one too long for the model.
    """
    model, tokenizer = backend.load(checkpoint).double(), checkpoint.tokenizer
    source, found, doubts = translated(backend, model, checkpoint, text)
    model.maps, steps = [], capture(model.decoder.attention)
    backend.logits(model, np.array([source]), np.array([[BOS, *found]]))
    (weights,) = model.maps
    ((state, memory), _), *_ = steps
    contexts = np.stack([backend.numpy(context) for _, (context, *_) in steps], axis=1)
    asked, asking = (readable(tokenizer.tokens(ids)) for ids in (source, [BOS, *found]))
    labels = read_and_written(asking), asked if weights.shape[-1] == len(asked) else [SENTENCE]
    read = f"state {tuple(state.shape)}, annotations {tuple(memory.annotations.shape)}"
    shapes = f"{read} -> weights {weights.shape} -> contexts {contexts.shape}"
    title, name = titles(checkpoint.config)
    operation = Operation(title, shapes, contexts, weights, *labels, name)
    translations, maps = {NAME: tokenizer.decode(found)}, {ALIGNMENT: weights[None]}
    finding, tokens = in_words(weights[0], *labels), tokenizer.tokens(source)
    kinds = {ALIGNMENT: labels}
    return Tour(backend.name, text, translations, tokens, [operation], maps, kinds, finding, doubts)


def titles(config: RecurrentConfig) -> tuple[str, str]:
    """Return the title of a model's attention, and the name of its map."""
    score = config.score if config.window is None else f"{config.score}, local"
    title, name = TITLES.get(score, TITLE)
    return title.format(score=score), name.format(score=score)


def with_alignment(tour: Tour, aligned: Tour) -> Tour:
    """Put an alignment behind a Transformer's cross-attention, and beside it where their tokens agree."""
    (operation,), (*heads, cross, whole) = aligned.operations, tour.operations
    of_its_own = [doubt for doubt in aligned.doubts if doubt not in tour.doubts]
    if (operation.rows, operation.columns) == tour.labels[CROSS]:
        operation = dataclasses.replace(operation, beside=cross)
    return dataclasses.replace(
        tour,
        translations=tour.translations | aligned.translations,
        operations=[*heads, cross, operation, whole],
        maps=tour.maps | aligned.maps,
        labels=tour.labels | aligned.labels,
        doubts=[*tour.doubts, *(f"of the recurrent translator: {doubt}" for doubt in of_its_own)],
    )
