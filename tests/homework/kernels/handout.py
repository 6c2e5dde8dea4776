"""What HANDOUT.md says of tasks over kernels."""

# ruff: noqa: E501  (a page's lines are up to 120 characters)

from tests.homework.kernels.regions import names
from tests.homework.kernels.task import KernelTask

INTRO = """# Homework: kernels

Write what is missing between `// begin task: NAME` and `// end task` in the files of `step03_gpu/kernels`. Leave
the marks as they are. What stands between them counts; whatever else you change is not looked at, so a helper of
your own is a lambda, or stands between the marks as well. `attention.cuh` has what all kernels share: the types,
the struct `Problem`, and small functions. Between the marks no line may begin with `#`, but for `#pragma unroll`.

**Check yourself** with `python check.py`, or `python check.py {example}` for some tasks. It needs Python 3.11 or
newer, NumPy, and a C++ compiler (g++ 11 or clang++ 16, or newer) of Linux or macOS (on Windows: of WSL), and no GPU:
the kernels run on an emulator, which you find in `step03_gpu/emulator`. It watches every access to memory, and says where threads race or wait for each
other for ever. That is graded like a wrong number, on other inputs: on a GPU it would be one, now and then. When you
are graded each task is compiled with what is right everywhere else.

Kernels are compiled for double, and numbers are compared to 1e-10 of the largest one. A launch may take 1 s of the processor, some 50 times what it needs.
"""


def regions(task: KernelTask) -> str:
    """Return what is to be written, region by region."""
    files = [file for file, some in names(task.targets).items() for _ in some]
    targets = [target.split(":")[1] for target in task.targets]
    parts = zip(targets, files, task.write, strict=True)
    return "\n".join(f"`{name}` in `step03_gpu/kernels/{file}`: {text}\n" for name, file, text in parts)
