"""Mutants of what is counted of kernels, and of what is made of the counts."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

KERNELS, RUNGS = "tests/kernels/test_counts.py", "tests/kernels/test_counts_of_rungs.py"


def counts(name, target, old, new, file, test):
    return Mutant(name, f"step03_gpu.{target}", old, new, f"{file}::{test}")


COUNTS = [
    counts("a multiplication and its addition are one", "emulator.counts:take", "2 * m * n * k", "m * n * k", KERNELS, "test_instructions_of_rung_5"),
    counts("both libraries' counts added up", "emulator.counts:take", '(name in ("flop", "special")) == (what == "arithmetic")', "True", KERNELS, "test_variables_in_shared_memory_and_barriers_of_a_block"),
    counts("extrapolated along a line", "count.cases:counted", "x * (x - 1) // 2 * curve", "0", RUNGS, "test_longer_problems_follow_the_polynomial"),
    counts("one head for all", "count.cases:counted", "return _times(_run(case), case.heads)", "return _run(case)", RUNGS, "test_heads_do_the_same"),
    counts("a cache that keeps nothing", "count.roofline:place", 'n["global_load_distinct"]', 'n["global_load_sectors"]', RUNGS, "test_the_roof"),
    counts("both kinds of cores in turn", "count.roofline:arithmetic_time", "max(found.work / flop, found.tensor_work / gpu.tensor_flop)", "found.work / flop + found.tensor_work / gpu.tensor_flop", RUNGS, "test_the_roof"),
    counts("hidden scores are work", "count.roofline:products", "if case.causal", "if False", RUNGS, "test_the_roof"),
]  # fmt: skip
