"""`python -m tests.fuzz`: draw hostile inputs for some minutes; prints the seed that draws them again."""

import argparse
import faulthandler
import resource
import secrets
import sys
import time
import warnings
from pathlib import Path

import hypothesis

from tests.fuzz import attention, programs

TARGETS = {**programs.TARGETS, **attention.TARGETS}
PREPARED = programs.PREPARED | attention.PREPARED
MEMORY = 4 * 2**30  # bytes beyond what the process has when it begins
SECONDS = 60  # after which one input counts as a hang: the traceback of all threads, and an end


def limit_memory():
    """Let what asks for more memory than it should be given have a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def watched(test):
    """Return a test that ends the process where one input takes too long."""

    def call(data):
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            test(data)
        finally:
            faulthandler.cancel_dump_traceback_later()

    call.__name__ = test.__name__
    return call


def run(name, seed, examples, phases):
    """Draw inputs for a target; return the error of the one at fault, or None."""
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
        phases=phases,
    )
    given = hypothesis.given(hypothesis.strategies.data())
    test = hypothesis.seed(seed)(settings(given(watched(TARGETS[name]))))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            test()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return error


def rounds(names, seed, seconds, examples, phases):
    """Run the targets in turn until the time is over; return how many faults were found."""
    faults, drawn, start = 0, 0, time.monotonic()
    while not drawn or time.monotonic() - start < seconds:
        for name in names:
            if drawn and time.monotonic() - start >= seconds:
                break
            error = run(name, seed, examples, phases)
            drawn += 1
            if error is not None:
                faults += 1
                notes = "\n".join(getattr(error, "__notes__", ()))
                print(f"FAULT in {name}, --seed {seed}: {type(error).__name__}: {error}\n{notes}", flush=True)
        seed += 1
    minutes = (time.monotonic() - start) / 60
    print(
        f"{drawn} rounds of at most {examples} inputs, {faults} faults, in {minutes:.1f} minutes", flush=True
    )
    return faults


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help="how long (5)")
    parser.add_argument("--seed", type=int, metavar="N", help="draw what a run with this seed drew")
    parser.add_argument("--examples", type=int, default=60, metavar="N", help="inputs a round (60)")
    parser.add_argument("--shrink", action="store_true", help="look for the smallest input at fault")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target is called {unknown[0]}; there are {', '.join(TARGETS)}")
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"--seed {seed}", flush=True)
    for name in options.targets or TARGETS:
        PREPARED.get(name, list)()  # what takes long, once, and is no input
    limit_memory()
    phases = [hypothesis.Phase.generate, *[hypothesis.Phase.shrink] * options.shrink]
    names, seconds = options.targets or list(TARGETS), 60 * options.minutes
    return 1 if rounds(names, seed, seconds, options.examples, phases) else 0


if __name__ == "__main__":
    sys.exit(main())
