"""What a task over kernels is: regions of `.cu` files, and the file with which they are compiled."""

from dataclasses import dataclass

from tests.homework.task import Task


@dataclass(frozen=True)
class KernelTask(Task):
    """
    A task whose targets are regions, "kernels/03_tiled.cu:barriers".

    Attributes
    ----------
    unit : str
        The file that is compiled: of the kernels, or of `drivers`.
    names : tuple of str
        The kernels that the cases launch, as expressions.
    write : tuple of str
        What is to be written, of each target: what is there before, and what must hold afterwards.
    stub : str
        What stands in an empty region because C++ wants a statement there.
    stand_in : str
        What stands in place of `also`, where other tasks need it; otherwise the stub.
    """

    unit: str = ""
    names: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    stub: str = ""
    stand_in: str = ""
