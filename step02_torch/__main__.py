"""`python -m step02_torch`: the common command line, for this stage."""

import sys

import step02_torch
from step01_numpy.common.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main(step02_torch, below=("step01_numpy",)))
