"""Log-sum-exp."""

import numpy as np


def log_sum_exp(scores, axis=-1):
    highest = scores.max(axis=axis, keepdims=True)
    safe = np.where(np.isneginf(highest), 0, highest)
    with np.errstate(divide="ignore"):
        log = np.log(np.exp(scores - safe).sum(axis=axis))
    return log + safe.squeeze(axis)
