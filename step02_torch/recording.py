"""Attention maps: what an attention saves of each call, kept for display; no layer keeps weights for that."""

from step02_torch.arrays import to_numpy
from step02_torch.attention import Attend


def record(attend: Attend, maps: list) -> Attend:
    """
    Wrap an attention so that every call appends what it saved to `maps`, as a NumPy array.

    With `STANDARD` these are the weights, (*heads, L, S), in the order of the calls.
    """

    def recording(*args, **options):
        out, saved = attend(*args, **options)
        maps.append(to_numpy(saved))
        return out, saved

    return recording
