"""The tests of this stage, on whatever device it finds."""

import re
import subprocess
import sys
import time
from pathlib import Path

STAGED = (
    *(f"attention/test_{name}.py" for name in ("softmax", "masks", "attention", "heads", "positions")),
    *(f"attention/test_{name}.py" for name in ("flash_attention", "merge", "onnx")),
    "parity/test_parity.py",
)
OWN = tuple(f"kernels/test_{name}.py" for name in ("rungs", "tensor_cores", "operators", "triton_attention"))
TESTS = Path(__file__).parent.parent.parent / "tests"


def run_tests(seconds: int) -> tuple[bool, str]:
    """
    Run the tests in a process of their own.

    Parameters
    ----------
    seconds : int
        After which they are stopped.

    Returns
    -------
    passed : bool
    summary : str
        pytest's last line, or why there is none, behind it the names of what failed.
    """
    files = [str(TESTS / name) for name in STAGED + OWN if (TESTS / name).exists()]
    if not files:
        return False, f"no tests beside the package, in {TESTS.name}/: run this from a checkout"
    stages = ("--stage=step03_gpu", "--stage=tests.step03_rungs")
    bare = ("-p", "no:attention_parity")  # the tests bring a `--stage` of their own
    command = [sys.executable, "-m", "pytest", *bare, *stages, "-rf", "--no-header", *files]
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False, f"not finished within {seconds} s"
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["no output"]
    failed = [line for line in lines if re.match(r"(FAILED|ERROR) ", line)]
    last = lines[-1].strip("= ")
    return done.returncode == 0, "\n".join([f"{last} ({time.monotonic() - start:.0f} s)", *failed])
