"""`python -m tests.mutants`."""

import sys

import tests.conftest  # noqa: F401  (installs the shape checker before the stages are imported)
from tests.mutants.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
