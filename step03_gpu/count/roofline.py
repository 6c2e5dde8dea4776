"""What a GPU's data sheet says, and where the counts of a rung place it beneath those figures."""

from collections import Counter
from typing import NamedTuple

from step03_gpu.count.cases import Case, total

SECTOR = 32  # bytes
PASS = 128  # bytes: 32 banks of 4


class Gpu(NamedTuple):
    """
    What one GPU can do at most.

    Attributes
    ----------
    name, source : str
    flop : dict
        FLOP/s of its CUDA cores, by dtype.
    tensor_flop : float
        FLOP/s of its tensor cores for 16-bit numbers, none of them left out.
    bandwidth : float
        Bytes/s of its memory.
    """

    name: str
    source: str
    flop: dict
    tensor_flop: float
    bandwidth: float


H100 = Gpu(
    "H100 SXM",
    "NVIDIA H100 Tensor Core GPU, data sheet, SXM: FP32 67 TFLOP/s, FP64 34, 16-bit tensor cores 1,979 with "
    "sparsity, so 989.5 without; memory 3.35 TB/s",
    {"float32": 67e12, "float64": 34e12},
    989.5e12,
    3.35e12,
)


class Place(NamedTuple):
    """
    A rung beneath the roof.

    Attributes
    ----------
    work, tensor_work : int
        FLOP of CUDA cores and of tensor cores.
    special : int
        Exponentials and logarithms.
    memory : int
        Bytes, each sector that a kernel touches moved once: what a perfect cache leaves.
    requested : int
        Bytes, in sectors, that the warps ask for: what no cache at all would leave.
    shared : int
        Bytes of shared memory, 128 for each pass.
    """

    work: int
    tensor_work: int
    special: int
    memory: int
    requested: int
    shared: int


def place(counts: dict[str, Counter]) -> Place:
    """Sum up what the kernels of a rung do."""
    n = total(counts)
    return Place(
        n["flop"],
        n["tensor_flop"],
        n["special"],
        SECTOR * (n["global_load_distinct"] + n["global_store_distinct"]),
        SECTOR * (n["global_load_sectors"] + n["global_store_sectors"]),
        PASS * (n["shared_load_passes"] + n["shared_store_passes"]),
    )


def products(case: Case) -> int:
    """Return the FLOP of a case's products as others count them, of visible scores alone."""
    visible = case.length * (case.length + 1) // 2 if case.causal else case.length**2
    return case.heads * visible * case.head_size * (10 if case.backward else 4)


def arithmetic_time(case: Case, found: Place, gpu: Gpu = H100) -> float:
    """Return the seconds that arithmetic takes at least."""
    flop = gpu.flop["float64" if case.dtype == "float64" else "float32"]
    return max(found.work / flop, found.tensor_work / gpu.tensor_flop)


def times(case: Case, found: Place, gpu: Gpu = H100) -> tuple[float, float]:
    """Return the seconds of a case at least: with a perfect cache, and with none."""
    arithmetic = arithmetic_time(case, found, gpu)
    return tuple(max(arithmetic, n / gpu.bandwidth) for n in (found.memory, found.requested))
