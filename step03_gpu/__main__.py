"""`python -m step03_gpu`: the common command line, for this stage, whose tour spans all of them."""

import sys

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step03_gpu import check

if __name__ == "__main__":
    sys.exit(
        main(
            step03_gpu, below=("step01_numpy", "step02_torch"), models=step01_numpy, commands={"check": check}
        )
    )
