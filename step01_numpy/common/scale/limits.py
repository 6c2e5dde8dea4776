"""What a configuration asks for, held against what a file holds: before memory is taken."""

import os

from step01_numpy.common.configuration.model import Configuration, ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.scale.costs import BYTES, groups, total
from step01_numpy.common.support import checks

SLACK = 1 << 20  # weights that nobody misses


def check_size(config: Configuration, n_tensors: int, n_numbers: int) -> None:
    """
    Refuse a configuration whose model would take far more memory than its file.

    What is missing by less is told by name where the weights are given to the model.

    Parameters
    ----------
    config : ModelConfig or RecurrentConfig
    n_tensors, n_numbers : int
        Those in the file, and the numbers in all of them.

    Raises
    ------
    ValueError
        Saying how many layers or weights it asks for, and how many there are.
    """
    if isinstance(config, ModelConfig):
        checks.at_most("number of layers", config.n_layers, "number of tensors", n_tensors)
    wanted, limit = least_weights(config), 2 * n_numbers + SLACK
    if wanted > limit:
        raise ValueError(f"its configuration asks for {wanted:,} weights; the file has {n_numbers:,}")


def check_memory(config: Configuration) -> None:
    """Refuse a configuration whose weights alone, in float32, take more memory than this machine has."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes
    except (AttributeError, ValueError, OSError):  # on Windows, and where it is not known
        return
    wanted = least_weights(config) * BYTES["float32"]
    if wanted > memory:
        raise ValueError(f"its weights take {wanted / 1e9:,.0f} GB; expected at most {memory / 1e9:,.0f} GB")


def least_weights(config: Configuration) -> int:
    """Return how many weights a model has; of a recurrent one, without its encoder and score."""
    if isinstance(config, RecurrentConfig):
        d, d_model = config.d_hidden, config.d_model  # W_0, W_c, W_h; W_y; the readout
        return config.vocab_size * d_model + 7 * d * d + 3 * d * d_model + (d_model + 2 * d) * d_model
    return total(groups(config, 1)).parameters
