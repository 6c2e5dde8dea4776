"""What the models of this stage's commands attend with: `--attention standard`, `flash` or `rung-N`."""

import sys

from step03_gpu.arrays import default_device
from step03_gpu.attention import STANDARD, Attend
from step03_gpu.flash_attention import FLASH, on_rung
from step03_gpu.kernels.rungs import RUNGS

WAYS = {
    "standard": (STANDARD, "array operations, the weights in memory"),
    "flash": (FLASH, "the best kernel for each call; array operations where none covers it"),
    **{f"rung-{n}": (on_rung(n), f"the kernels of rung {n}, whatever the call") for n in RUNGS},
}


def chosen_attention(name: str | None) -> Attend | None:
    """
    Return what a command's models attend with, and say on stderr what that is.

    Parameters
    ----------
    name : str, optional
        One of `WAYS`. When not given, "flash" on a GPU; on the host, where kernels are emulated and slow,
        None: what the stage takes of itself, and nothing is said.
    """
    if name is None and default_device() == "host":
        return None
    name = "flash" if name is None else name
    attend, about = WAYS[name]
    print(f"note: --attention {name}: {about}", file=sys.stderr)
    return attend
