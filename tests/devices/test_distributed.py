"""Attention over ranks equals attention in one process: real processes, gloo, forward and backward."""

import re
import tempfile
from inspect import signature

import numpy as np
import pytest
import torch

from step02_torch import Rotary
from step03_gpu.devices.distributed import ring_attention
from step03_gpu.devices.head_parallel import HeadParallelAttention
from step03_gpu.devices.ring import device_of_messages, patience
from step03_gpu.devices.sequence import join_sequence, sequence_chunks, split_sequence
from step03_gpu.tensors import attend
from step03_gpu.tensors.attend import KERNELS
from tests.devices import cases as cases

ORDERS = ["contiguous", "zigzag"]
LENGTHS = [(32, 32), (13, 13), (9, 21), (21, 9), (3, 3), (1, 6)]  # as many queries as ranks, more, fewer


def all_cases(dtype, order):
    options = [{}, {"causal": True}, {"causal": True, "scale": 0.3, "softcap": 5.0}, {"window": (4, 2)}]
    options += [{"causal": True, "offset": -2}, {"window": (3, None), "offset": 1}]
    return [(*lengths, dtype, order, each) for lengths in LENGTHS for each in options]


@pytest.mark.grid
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)], ids=str)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ring_equals_one_process(ranks, size, order, dtype, tolerance):
    """In out, lse and gradients; grouped heads; some ranks without a position; queries without a key."""
    each = all_cases(dtype, order)
    for rank, found in enumerate(ranks.run(cases.differences, size, each)[:size]):
        for case, difference in zip(each, found, strict=True):
            assert all(x <= tolerance for x in difference), f"rank {rank}, {case}: {difference}"


def test_a_ring_attends_by_the_kernels(ranks, rng):
    """Its blocks are offered to them unless told otherwise; a rung, on the emulator, serves them as well."""
    assert signature(ring_attention).parameters["attend"].default is KERNELS
    each = [(9, 13, torch.float64, "zigzag", options) for options in ({"causal": True}, {"window": (4, 2)})]
    for found in ranks.run(cases.differences, 2, each, 4)[:2]:
        assert all(x <= 1e-10 for difference in found for x in difference)


def test_what_the_kernels_are_offered(monkeypatch):
    """CUDA tensors, in the backward as in the forward: by what is known of a tensor on a GPU."""
    asked = []
    monkeypatch.setattr(attend, "covered", lambda *call: asked.append(call) or False)
    q, lse = torch.zeros(1, 3, 4), torch.zeros(1, 3)
    KERNELS.backward(q, q, q, q, q, lse)
    assert len(asked) == 1
    assert asked[0][0] is q


@pytest.mark.parametrize("order", ORDERS)
def test_ring_in_16_bits(ranks, order):
    """Blocks are rounded to 16 bits and merged in float32: off by a rounding or two of the largest number."""
    each = [(13, 13, torch.bfloat16, order, {"causal": True})]
    for (found,) in ranks.run(cases.differences, 4, each):
        assert all(x <= 2 * 2.0**-7 for x in found), found


@pytest.mark.parametrize("size", [2, 4])
def test_zigzag_shares_the_causal_work(ranks, size):
    """Ranks wait for each other in every step, so that a step takes as long as the rank with most to do."""
    length = 64
    for order, at_least, at_most in (("zigzag", 1, 1.1), ("contiguous", 2 - 1.5 / size, 2)):
        steps = np.array(ranks.run(cases.visible_pairs, size, length, order)[:size])  # (ranks, steps)
        assert steps.sum() == length * (length + 1) / 2
        assert at_least <= steps.sum(axis=1).max() / steps.sum(axis=1).mean() <= at_most
        assert at_least <= steps.max(axis=0).sum() / steps.sum(axis=1).mean() <= at_most


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("a part too short", "ValueError", r"q has \[4, 3\] positions on the ranks; expected \[3, 4\]"),
        ("keys split otherwise", "ValueError", r"k has \[4, 3\] positions on the ranks; expected \[3, 4\]"),
        ("heads", "ValueError", r"q is \[\(2, 4, 8, .*\), \(2, 2, 8, .*\)\] on the ranks; expected the same"),
        ("dtype", "ValueError", r"q is \[.*float32\), .*float64\)\] on the ranks"),
        ("causal", "ValueError", r"causal is \[True, False\] on the ranks; expected the same on all"),
        ("order", "ValueError", r"order is \['contiguous', 'zigzag'\] on the ranks"),
        ("no such order", "ValueError", "order is 'random'; expected one of contiguous, zigzag"),
        ("mask", "ValueError", "mask or bias is given; expected None"),
        ("scale", "ValueError", "scale is 'large'; expected a finite number"),
    ],
)
def test_bad_input_is_refused_by_all_ranks(ranks, change, error, message):
    for found in ranks.run(cases.refused, 2, change)[:2]:
        assert found is not None
        assert found[0] == error
        assert re.search(message, found[1]), found[1]


def test_a_process_outside_the_group(ranks):
    found = ranks.run(cases.outside)
    assert found[:2] == [None, None]
    assert all(
        error == "ValueError" and "group does not hold this process" in text for error, text in found[2:]
    )


@pytest.mark.usefixtures("unchecked")
def test_without_a_process_group():
    q = torch.zeros(2, 3, 4)
    with pytest.raises(ValueError, match=r"group is not there: expected .*init_process_group"):
        ring_attention(q, q, q)


@pytest.mark.parametrize("away", ["from the start", "from the backward"])
def test_a_rank_that_stays_away_is_not_waited_for_long(ranks, away):
    message, *_ = ranks.run(cases.stay_away, away)
    assert message.startswith("rank 0 of 2 waited in vain: another rank failed or stayed away (")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [0, 1, 5, 8, 17])
def test_splitting_and_joining(length, n_ranks, order):
    x = torch.arange(2 * length * 3).reshape(2, length, 3)
    parts = split_sequence(x, n_ranks, order=order)
    assert torch.equal(join_sequence(parts, order=order), x)
    positions = [[i for chunk in chunks for i in chunk] for chunks in sequence_chunks(length, n_ranks, order)]
    for part, rows in zip(parts, positions, strict=True):
        assert torch.equal(part, x[:, rows])
    sizes = [len(rows) for rows in positions]
    assert max(sizes) - min(sizes) <= (1 if order == "contiguous" else 2)
    tokens = x[..., 0]
    assert torch.equal(
        join_sequence(split_sequence(tokens, n_ranks, order=order, dim=-1), order=order, dim=-1), tokens
    )


def test_zigzag_gives_each_rank_an_early_and_a_late_chunk():
    held = [[range(0, 1), range(7, 8)], [range(1, 2), range(6, 7)], [range(2, 3), range(5, 6)]]
    assert sequence_chunks(8, 4, "zigzag") == [*held, [range(3, 4), range(4, 5)]]


@pytest.mark.usefixtures("unchecked")
def test_bad_parts():
    with pytest.raises(ValueError, match=r"parts has \[1, 3\] positions on the ranks; expected \[2, 2\]"):
        join_sequence([torch.zeros(1, 2), torch.zeros(3, 2)])
    with pytest.raises(ValueError, match="order is 'random'; expected one of contiguous, zigzag"):
        split_sequence(torch.zeros(4, 2), 2, order="random")
    with pytest.raises(ValueError, match="n_ranks is 0; expected an integer of at least 1"):
        split_sequence(torch.zeros(4, 2), 0)


CALLS = [
    {"causal": True},
    {"mask": torch.arange(5) < torch.tensor([4, 3])[:, None, None, None]},
    {"bias": torch.arange(12 * 25.0, dtype=torch.float64).reshape(12, 5, 5).sin()},
    {"mask": torch.arange(12 * 25).reshape(12, 5, 5) % 3 > 0},
    {"cross": True},
]


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    ("n_kv_heads", "options"),
    [(None, {}), (4, {"bias": False}), (4, {"rotary": Rotary(2)})],
    ids=["as many", "grouped", "rotary"],
)
def test_head_parallel_equals_one_process(ranks, size, n_kv_heads, options):
    calls = CALLS if "rotary" not in options else CALLS[:-1]  # rotary serves self-attention alone
    for found in ranks.run(cases.heads, size, (24, 12, n_kv_heads), options, calls)[:size]:
        assert all(x <= 1e-10 for x in found), found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((24, 6), "the number of ranks is 4, which does not divide n_heads 6"),
        ((24, 12, 3), "the number of ranks is 4, which does not divide n_kv_heads 3"),
        ((24, 5), "n_heads is 5, which does not divide d_model 24"),
    ],
)
def test_heads_that_ranks_cannot_share(ranks, arguments, message):
    assert ranks.run(cases.head_errors, arguments) == [message] * 4


@pytest.mark.usefixtures("unchecked")
def test_head_parallel_without_a_process_group():
    with pytest.raises(ValueError, match=r"group is not there"):
        HeadParallelAttention(24, 12)


@pytest.fixture
def alone():
    """This process is a group of its own."""
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=0, world_size=1
        )
        yield
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone", "unchecked")
def test_weights_are_sent_from_where_messages_come(monkeypatch):
    """NCCL sends nothing that lies on a CPU; "meta" stands in for its GPU."""
    sent = []
    monkeypatch.setattr(torch.distributed, "broadcast", lambda x, **_: sent.append(x.device.type))
    layer = HeadParallelAttention(8, 2, device="meta")
    assert set(sent) == {x.device.type for x in layer.state_dict().values()} == {"meta"}
    assert {x.device.type for x in HeadParallelAttention(8, 2).state_dict().values()} == {"cpu"}


@pytest.mark.usefixtures("alone", "unchecked")
def test_nccls_ranks_have_their_weights_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: "nccl")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert device_of_messages() == torch.device("cuda", 3)
    with pytest.raises(ValueError, match="device is cpu; expected a GPU: the group's backend, nccl"):
        HeadParallelAttention(8, 2, device="cpu")


@pytest.mark.parametrize("told", [ring_attention, patience])
def test_what_nccl_does_when_a_rank_stays_away_is_told(told):
    assert "TORCH_NCCL_BLOCKING_WAIT=1" in told.__doc__
