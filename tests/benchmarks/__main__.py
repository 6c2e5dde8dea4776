"""`python -m tests.benchmarks [NAME …]`: run the benchmarks, print the table, or JSON."""

import argparse
import json
import platform
import sys
from datetime import date

import numpy
import torch
from threadpoolctl import threadpool_info

from tests.benchmarks import attention, batches, decoding, embedding, start_up, training
from tests.benchmarks.timing import HEADER

BENCHMARKS = {
    "attention": attention.run,
    "attention-one-thread": attention.run_alone,
    "start-up": start_up.run,
    "training": training.run,
    "embedding": embedding.run,
    "decoding": decoding.run,
    "homework": batches.run,
}
WITH_DATA = ("training", "embedding")
ONLY_BY_NAME = ("attention-one-thread",)


def processor() -> str:
    """Return what NumPy's exponentials, its BLAS and PyTorch use of the processor, each as it calls that."""
    loops = numpy.lib.introspect.opt_func_info(func_name="^exp2?$", signature="float32")
    used = [f"{name} {loop['current']}" for name, x in sorted(loops.items()) for loop in x.values()]
    used += [f"BLAS {x['architecture']}" for x in threadpool_info() if "architecture" in x]
    return "; ".join([*used, f"torch {torch.backends.cpu.get_cpu_capability()}"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of {', '.join(BENCHMARKS)}; default all but {', '.join(ONLY_BY_NAME)}",
    )
    parser.add_argument(
        "--data", default="embedded", help="for training and embedding, as `train --data` takes it"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    versions = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": torch.__version__,
        "processor": processor(),
    }
    if not args.json:
        print(", ".join(f"{name} {x}" for name, x in versions.items() if name != "processor"))
        print(f"processor: {versions['processor']}", HEADER, sep="\n")
    results = []
    for name in args.names or [name for name in BENCHMARKS if name not in ONLY_BY_NAME]:
        options = {"data": args.data} if name in WITH_DATA else {}
        for result in BENCHMARKS[name](**options):
            results.append(result.as_dict())
            if not args.json:
                print(result, flush=True)
    if args.json:
        print(json.dumps({**versions, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
