"""Softmax."""

import numpy as np


def softmax(scores, axis=-1):
    highest = scores.max(axis=axis, keepdims=True)
    highest = np.where(np.isneginf(highest), 0, highest)
    exp = np.exp(scores - highest)
    total = exp.sum(axis=axis, keepdims=True)
    return exp / np.where(total == 0, 1, total)
