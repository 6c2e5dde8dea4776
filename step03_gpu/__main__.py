"""`python -m step03_gpu`: the common command line, for this stage, whose tour spans all of them."""

import sys

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step03_gpu import check, count
from step03_gpu.attending import WAYS, chosen_attention

if __name__ == "__main__":
    below, attentions = ("step01_numpy", "step02_torch"), (tuple(WAYS), chosen_attention)
    commands = {"check": check, "count": count}
    sys.exit(main(step03_gpu, below=below, models=step01_numpy, commands=commands, attentions=attentions))
