"""Logits that say nothing are refused, however the next token is chosen."""

import numpy as np
import pytest

from step01_numpy.common.decoding.continuation import telling
from step01_numpy.common.decoding.sampling import Sampling, sample
from step01_numpy.common.decoding.search import beam_search, greedy

WAYS = {
    "greedy": lambda step, **options: greedy(step, 2, max_length=3, **options),
    "one beam": lambda step, **options: beam_search(step, lambda rows: None, 2, 1, max_length=3, **options),
    "beams": lambda step, **options: beam_search(step, lambda rows: None, 2, 3, max_length=3, **options),
    "sampled": lambda step, **options: sample(step, 2, max_length=3, rules=Sampling(1.0), **options),
    "top p": lambda step, **options: sample(step, 2, max_length=3, rules=Sampling(1.0, top_p=0.5), **options),
}


@pytest.mark.parametrize("value", [np.nan, np.inf, "all -inf"])
@pytest.mark.parametrize("way", WAYS)
def test_logits_that_say_nothing(way, value):
    calls = []

    def step(tokens):
        calls.append(tokens)
        logits = np.zeros((len(tokens), 9), np.float32)
        if len(calls) == 2:  # in one place of one row, at the second step
            logits[-1, slice(None) if value == "all -inf" else 1] = -np.inf if value == "all -inf" else value
        return logits

    with pytest.raises(ValueError, match=r"the model's logits are (nan|inf|-inf); expected finite numbers"):
        WAYS[way](step)
    assert len(calls) == 2


def test_some_tokens_may_be_impossible():
    logits = np.array([[0.0, -np.inf, 2.0]])
    assert telling(logits) is logits
