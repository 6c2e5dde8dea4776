"""
Step 3 with its kernels forced: a stage for the tests, whose flash attention runs rungs 3 and 4, emulated.

What no rung covers, a bias or a soft cap, goes the way of array operations, as it does on a GPU; `TAKEN`
counts which way calls went. The layers attend with flash attention when not told otherwise.
"""

from collections import Counter

import step03_gpu
from step03_gpu import *  # noqa: F403  (the stage's face)

RUNG = 4
TAKEN = Counter()


def flash_attention(q, k, v, mask=None, **options):
    """Run the stage's forward on the forced rung."""
    return step03_gpu.flash_attention(q, k, v, mask, **options, rung=rung_for(**options))


def flash_attention_backward(d_out, q, k, v, out, lse, mask=None, **options):
    """Run the stage's backward on the forced rung."""
    arrays = d_out, q, k, v, out, lse, mask
    return step03_gpu.flash_attention_backward(*arrays, **options, rung=rung_for(**options))


def rung_for(bias=None, softcap=None, **_):
    """Return the forced rung, or 0 where a rung would refuse."""
    rung = RUNG if bias is None and softcap is None else 0
    TAKEN[rung] += 1
    return rung


FLASH = step03_gpu.Attend(flash_attention, flash_attention_backward)


def attending(layer):
    """Return a layer's class with flash attention as its default."""

    class Attending(layer):
        def __init__(self, *args, attend=FLASH, **options):
            super().__init__(*args, attend=attend, **options)

    return Attending


SelfAttention, MaskedSelfAttention, CrossAttention, MultiHeadAttention = (
    attending(getattr(step03_gpu, name))
    for name in ("SelfAttention", "MaskedSelfAttention", "CrossAttention", "MultiHeadAttention")
)
