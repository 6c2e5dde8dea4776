"""All tables of mutants, by name. A new table is a line here."""

from tests.mutants import flash, transformers
from tests.mutants.check import ATTENDING, CHECK
from tests.mutants.counts import COUNTS
from tests.mutants.decoding import DECODING, LARGE_SCORES
from tests.mutants.distributed import DISTRIBUTED
from tests.mutants.embedding import EMBEDDING
from tests.mutants.emulator import EMULATOR
from tests.mutants.explorer import EXPLORER_TABLE
from tests.mutants.faults import FAULTS
from tests.mutants.grades import GRADES
from tests.mutants.homework import HOMEWORK
from tests.mutants.hopper import HOPPER
from tests.mutants.hostile_files import HOSTILE_FILES
from tests.mutants.kernels import KERNELS
from tests.mutants.lessons import LESSONS
from tests.mutants.loading import LOADING
from tests.mutants.on_gpu import ON_GPU
from tests.mutants.operators import OPERATORS
from tests.mutants.options import OPTIONS
from tests.mutants.oracle import ORACLE
from tests.mutants.recurrent import RECURRENT
from tests.mutants.searching import SEARCHING
from tests.mutants.tensor_cores import TENSOR_CORES
from tests.mutants.texts import TEXTS
from tests.mutants.torch_behaviour import TORCH
from tests.mutants.torch_homework import TORCH_HOMEWORK

TABLES = {
    "attention": transformers.ATTENTION,
    "softmax": transformers.SOFTMAX,
    "masks": transformers.MASKS,
    "heads": transformers.HEADS,
    "positions": transformers.POSITIONS,
    "flash attention": flash.PAPER,
    "flash attention by step03": transformers.FLASH,
    "flash attention's engine": flash.ENGINE,
    "models": transformers.MODELS,
    "family": transformers.FAMILY,
    "recurrent": RECURRENT,
    "loading": LOADING,
    "searching": SEARCHING,
    "texts": TEXTS,
    "embedding": EMBEDDING,
    "faults": FAULTS,
    "kernels": KERNELS,
    "emulator": EMULATOR,
    "counts": COUNTS,
    "tensor cores": TENSOR_CORES,
    "Hopper": HOPPER,
    "decoding": DECODING,
    "large scores": LARGE_SCORES,
    "operators": OPERATORS,
    "on a GPU": ON_GPU,
    "check": CHECK,
    "attending": ATTENDING,
    "distributed": DISTRIBUTED,
    "oracle": ORACLE,
    "torch": TORCH,
    "options": OPTIONS,
    "explorer": EXPLORER_TABLE,
    "hostile files": HOSTILE_FILES,
    "homework": HOMEWORK,
    "homework in PyTorch": TORCH_HOMEWORK,
    "grades": GRADES,
    "lessons": LESSONS,
}
MUTANTS = [mutant for table in TABLES.values() for mutant in table]
