"""What `import step01_numpy` costs over `import numpy`."""

import subprocess
import sys

from tests.benchmarks.timing import Result, interleave


def run() -> list[Result]:
    """Compare fresh processes."""

    def start(module):
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    times = interleave({"ours": start("step01_numpy"), "theirs": start("numpy")}, rounds=11)
    extra = (times["ours"] - times["theirs"]) / 1e3
    return [Result("import step01_numpy, over import numpy", "s", extra, None, 0.2)]
