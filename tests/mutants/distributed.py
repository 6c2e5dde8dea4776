"""Mutants of what spans devices: merging, the ring, heads and batches shared between ranks."""

from tests.mutants.mutant import Mutant

MERGE, RING = "step01_numpy.merge:", "step03_gpu.devices.distributed:_RingAttention."
HEADS, DATA = "step03_gpu.devices.head_parallel:", "step03_gpu.devices.data_parallel:"
EQUAL = "tests/devices/test_distributed.py::test_ring_equals_one_process"
SHARED_HEADS = "tests/devices/test_distributed.py::test_head_parallel_equals_one_process"
SHARED_BATCH = "tests/devices/test_data_parallel.py::test_four_ranks_equal_one_process"
ZIGZAG = "tests/devices/test_distributed.py::test_zigzag_gives_each_rank_an_early_and_a_late_chunk"

DISTRIBUTED = [
    Mutant(
        "merging by the plain mean",
        MERGE + "merge_attention",
        "share * widen(out) + other_share * widen(other_out)",
        "0.5 * widen(out) + 0.5 * widen(other_out)",
        "tests/attention/test_merge.py::test_three_sets_of_keys_in_any_order",
        "Each set counts half in your result. Its lse says what share it has: how large is its sum?",
    ),
    Mutant(
        "merging forgets the gradient of lse",
        MERGE + "merge_attention_backward",
        "d_lses + d_lse * shares",
        "d_lses",
        "tests/attention/test_merge.py::test_gradients_equal_central_differences",
    ),
    Mutant("the ring's last block wins", RING + "forward", "= merged", "= widen(part), part_lse", EQUAL),
    Mutant(
        "gradients of a block stay where they arose",
        RING + "backward",
        "(d + found for d, found in zip((d_k, d_v), arriving.wait(), strict=True))",
        "(d + 0 * found for d, found in zip((d_k, d_v), arriving.wait(), strict=True))",
        EQUAL,
    ),
    Mutant(
        "each block counts its positions from 0",
        "step03_gpu.devices.ring:Ring.pairs",
        "first - j.start",
        "first",
        EQUAL,
    ),
    Mutant(
        "chunks on the diagonal are left out",
        "step03_gpu.devices.ring:Ring.pairs",
        "last + self.right < j.start",
        "first + self.right < j.stop - 1",
        EQUAL,
    ),
    Mutant(
        "zigzag that does not turn back",
        "step03_gpu.devices.sequence:sequence_chunks",
        "chunks[-1 - rank]",
        "chunks[n_ranks + rank]",
        ZIGZAG,
    ),
    Mutant(
        "x's gradient from one rank's heads",
        HEADS + "_Shared.backward",
        "_sum(d_out, ctx.group)",
        "d_out",
        SHARED_HEADS,
    ),
    Mutant(
        "heads projected back and not summed",
        HEADS + "_Summed.forward",
        "_sum(x, group)",
        "x.clone()",
        SHARED_HEADS,
    ),
    Mutant(
        "ranks weigh their mean losses alike",
        DATA + "loss_and_gradients",
        "(share.size * loss)",
        "parallel(*(from_numpy(x, device) for x in rows))",
        SHARED_BATCH,
    ),
    Mutant(
        "every rank drops as the first",
        DATA + "Share.random",
        "[self.rows]",
        "[: self.rows.stop - self.rows.start]",
        SHARED_BATCH,
    ),
]
