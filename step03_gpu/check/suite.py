"""The tests of this stage, on whatever device it finds: a file a part, each failure told when it comes."""

from importlib.util import find_spec
from pathlib import Path

from step03_gpu.check.telling import Tell

OWN = tuple(
    f"kernels/test_{name}.py" for name in ("tensor_cores", "hopper", "operators", "rungs", "triton_attention")
)
STAGED = (
    *(f"attention/test_{name}.py" for name in ("softmax", "masks", "attention", "heads", "positions")),
    *(f"attention/test_{name}.py" for name in ("flash_attention", "merge", "onnx")),
    "parity/test_parity.py",
)
TESTS = Path(__file__).parent.parent.parent / "tests"
WORKERS = (
    4  # processes of a file's tests, where pytest-xdist is installed: most of their time is a compiler's
)


def run_file(tell: Tell, file: str, workers: int = WORKERS, tests: str | None = None) -> None:
    """
    Run the tests of one file with pytest, in this process.

    Parameters
    ----------
    tell : Tell
    file : str
        In `tests/`.
    workers : int
    tests : str, optional
        Another folder of tests.
    """
    import pytest

    path = (TESTS if tests is None else Path(tests)) / file
    if not path.exists():
        raise FileNotFoundError(f"no {file} in {path.parent}: run this from a checkout")
    stages = ("--stage=step03_gpu", "--stage=tests.step03_rungs")
    bare = ("-p", "no:attention_parity", "-p", "no:cacheprovider")  # the tests bring a `--stage` of their own
    bare += ("--assert=plain",)  # what is imported already, as this package is, cannot be rewritten
    spread = ("-n", str(workers)) if workers > 1 and find_spec("xdist") else ()
    teller = Teller(tell)
    code = pytest.main([*bare, *spread, *stages, f"--rootdir={path.parents[1].parent}", str(path)], [teller])
    counts = ", ".join(f"{n} {kind}" for kind, n in teller.counts.items() if n)
    tell.say(f"{file}: {counts or 'no test'}")
    if code not in (0, 1) or (code == 1 and not teller.counts["failed"]):
        tell.failed(f"{file}: pytest ended with {code!r}")


class Teller:
    """A plugin of pytest that tells of each failure at once."""

    def __init__(self, tell: Tell):
        self.tell, self.counts = tell, {"passed": 0, "failed": 0, "skipped": 0}

    def pytest_runtest_logstart(self, nodeid):
        """Say where the tests are."""
        self.tell.at(nodeid)

    def pytest_runtest_logreport(self, report):
        """Count, and tell of a failure."""
        if report.failed:
            self.counts["failed"] += 1
            self.tell.failed(f"{report.nodeid} ({report.when})")
        elif report.skipped or report.when == "call":
            self.counts[report.outcome] += 1

    def pytest_collectreport(self, report):
        """Tell of a file that cannot be read."""
        if report.failed:
            self.counts["failed"] += 1
            self.tell.failed(f"{report.nodeid}: cannot be collected")
