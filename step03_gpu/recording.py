"""Attention maps: what an attention saves of each call, kept for display; no layer keeps weights for that."""

from step03_gpu.arrays import to_numpy
from step03_gpu.attention import Attend


def record(attend: Attend, maps: list) -> Attend:
    """
    Wrap an attention so that every call appends what it saved to `maps`, as a NumPy array.

    With `STANDARD` these are the weights, (*heads, L, S), in the order of the calls.
    """

    def recording(*args, **options):
        out, saved = attend.forward(*args, **options)
        maps.append(to_numpy(saved))
        return out, saved

    return Attend(recording, attend.backward)
