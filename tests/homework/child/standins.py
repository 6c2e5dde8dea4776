"""What the starter imports beside NumPy, as far as it needs it: names for annotations, and no threads."""

import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from types import ModuleType

SHAPES = ("Array", "Bool", "Complex", "Float", "Inexact", "Int", "Integer", "Num", "Real", "Shaped", "UInt")


class Anything:
    """Stands for every type with a shape: `Float[Array, "B H L D"]`."""

    def __class_getitem__(cls, item):
        return cls


@contextmanager
def no_limits(*_, **__):
    """Leave the threads alone: there is one."""
    yield


class Packages:
    """Finds packages in their folder, and nothing that lies beside them."""

    def __init__(self, folder: str, *names: str):
        self.folder, self.names = folder, names

    def find_spec(self, name, path=None, target=None):
        """Answer for these packages alone."""
        return PathFinder.find_spec(name, [self.folder]) if name in self.names else None


def install(folder: str) -> None:
    """Make NumPy importable, and stand in for jaxtyping and threadpoolctl."""
    sys.meta_path.append(Packages(folder, "numpy"))
    jaxtyping, threadpoolctl = ModuleType("jaxtyping"), ModuleType("threadpoolctl")
    vars(jaxtyping).update(dict.fromkeys(SHAPES, Anything), jaxtyped=lambda *_, **__: lambda f: f)
    vars(threadpoolctl).update(threadpool_limits=no_limits, threadpool_info=list)
    sys.modules.update(jaxtyping=jaxtyping, threadpoolctl=threadpoolctl)
