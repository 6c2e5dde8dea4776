"""One mutant: the wrong formula is put into the running code, and the test named for it must fail."""

import contextlib
import inspect
import io
import os
import sys
import textwrap
import time
from importlib import import_module
from typing import NamedTuple

import pytest

from tests.devices.ranks import MUTANT
from tests.mutants.kernels import applied_to_kernel

# Assertions need no explanation and tracebacks no text; two collections of all garbage take longer than most
# tests; and a killer may be one of those that only `make proof` runs.
PYTEST = ("-x", "--no-header", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-m", "")
PYTEST += ("-p", "no:unraisableexception")


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
    os.environ[MUTANT] = mutant.name  # for tests that start processes
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return pytest.main([mutant.killer, *PYTEST, f"--stage={mutant.stage}"])
    finally:
        del os.environ[MUTANT]


class Result(NamedTuple):
    """What became of a mutant, and in how many seconds."""

    verdict: str
    seconds: float


def result(mutant):
    """Run a mutant: it is "killed", or the verdict says why not."""
    start = time.monotonic()
    try:
        with applied_to_kernel(mutant) if mutant.in_kernel else applied(mutant):
            code = run(mutant)
        verdict = "killed" if code == pytest.ExitCode.TESTS_FAILED else f"SURVIVED ({code!r})"
    except (AssertionError, AttributeError, ImportError, SyntaxError) as error:
        verdict = f"NOT APPLIED ({error})"
    return Result(verdict, time.monotonic() - start)
