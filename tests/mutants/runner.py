"""
Mutants: the classic wrong formulas of attention, each put into the code and killed by a named test.

`python -m tests.mutants` prints the table; it exits with 1 if one survives. A number or a word after it runs
only the mutants whose line holds it.
"""

import contextlib
import inspect
import io
import os
import sys
import textwrap
from importlib import import_module

import pytest

from tests.devices.ranks import MUTANT
from tests.mutants.distributed import DISTRIBUTED
from tests.mutants.embedding import EMBEDDING
from tests.mutants.flash import FLASH
from tests.mutants.kernels import KERNELS, applied_to_kernel
from tests.mutants.loading import LOADING
from tests.mutants.operators import OPERATORS
from tests.mutants.oracle import ORACLE
from tests.mutants.recurrent import RECURRENT
from tests.mutants.searching import SEARCHING
from tests.mutants.tensor_cores import TENSOR_CORES
from tests.mutants.texts import TEXTS
from tests.mutants.transformers import TRANSFORMERS

MUTANTS = [*TRANSFORMERS, *FLASH, *RECURRENT, *LOADING, *SEARCHING, *TEXTS, *EMBEDDING]
MUTANTS += [*KERNELS, *TENSOR_CORES, *OPERATORS, *DISTRIBUTED, *ORACLE]


@contextlib.contextmanager
def applied(mutant):
    """Put a mutant into the running code: the function keeps its identity, so everyone who uses it is hit."""
    module, path = mutant.target.split(":")
    import_module(module)
    function = sys.modules[module]  # a package may offer a function of the same name
    for name in path.split("."):
        function = getattr(function, name)
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutant.old) >= 1, f"{mutant.name}: {mutant.target} has no {mutant.old!r}"
    scope = dict(function.__globals__)
    exec(compile(source.replace(mutant.old, mutant.new), f"<{mutant.name}>", "exec"), scope)
    original = function.__code__
    function.__code__ = inspect.unwrap(scope[function.__name__]).__code__
    try:
        yield
    finally:
        function.__code__ = original


def run(mutant):
    """Run the test that must fail, on the stage that is mutated; return pytest's exit code."""
    kernel = mutant.target.endswith((".cu", ".cuh"))
    engine = mutant.target.startswith("step01_numpy.engine.flash")
    own = mutant.target.partition(".")[0]
    stage = "tests.step03_rungs" if kernel else "tests.step01_engine" if engine else own
    arguments = [
        mutant.killer,
        "-x",
        "-q",
        "--no-header",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        f"--stage={stage}",
    ]
    os.environ[MUTANT] = mutant.name  # for tests that start processes
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return pytest.main(arguments)
    finally:
        del os.environ[MUTANT]


def main(words):
    survivors = 0
    for mutant in MUTANTS:
        line = f"{mutant.name:42} {mutant.target:58} {mutant.killer}"
        if words and not any(word in line for word in words):
            continue
        kernel = mutant.target.endswith((".cu", ".cuh"))
        with applied_to_kernel(mutant) if kernel else applied(mutant):
            code = run(mutant)
        killed = code == pytest.ExitCode.TESTS_FAILED
        survivors += not killed
        print(f"{'killed  ' if killed else f'SURVIVED ({code!r})'} {line}", flush=True)
    print(f"{survivors} survived")
    return 1 if survivors else 0
