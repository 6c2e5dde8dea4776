"""`python -m step01_numpy`: the common command line, for this stage."""

import sys

import step01_numpy
from step01_numpy.common.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main(step01_numpy))
