"""What the rungs do, counted, is what a hand counts in their text: formulas in L, S and D."""

import json

import numpy as np
import pytest

from step03_gpu import flash_attention
from step03_gpu.count.cases import TILES, Case, cases, counted, total
from step03_gpu.count.roofline import H100, place, products, times
from step03_gpu.count.table import as_json, as_text
from step03_gpu.emulator import count

L, D = 128, 64
FLOAT, HALF = 4, 2  # bytes
SECTOR = 32  # bytes


def of(rung, *, size=D, length=L, dtype="float32", **options):
    """Count a rung's kernels, by their names without types."""
    found = counted(Case(rung, length, size, dtype, **options))
    return {name.partition("<")[0]: counts for name, counts in found.items()}


@pytest.mark.parametrize("size", [32, 64])
def test_naive(size):
    """Each score reads q and k anew, each number of the result a row of weights and a column of v."""
    found = of(1, size=size)
    scores, softmax, weighted_sum = (found[name] for name in ("scores", "softmax", "weighted_sum"))
    assert scores["flop"] == L * L * (2 * size + 1)  # and the scale
    assert scores["global_load_bytes"] == L * L * 2 * size * FLOAT
    assert scores["global_load_sectors"] == L * L // 32 * size * (1 + 32)  # of a warp: one row of q, 32 of k
    assert scores["global_load_distinct"] == 2 * L * size * FLOAT // SECTOR
    assert scores["global_store_bytes"] == SECTOR * scores["global_store_sectors"] == L * L * FLOAT
    assert softmax["flop"] == L * (3 * L + 1)  # a difference, a sum, a quotient; and lse
    assert softmax["special"] == L * (L + 1)
    assert (softmax["global_load_bytes"], softmax["global_store_bytes"]) == (
        L * 3 * L * 4,
        L * (2 * L + 1) * 4,
    )
    assert softmax["global_load_sectors"] == L * 3 * L  # a sector for each number: lanes are a row apart
    assert softmax["global_load_distinct"] == L * L * FLOAT // SECTOR
    assert weighted_sum["flop"] == 2 * L * L * size
    assert weighted_sum["global_load_bytes"] == L * size * 2 * L * FLOAT
    assert weighted_sum["global_load_sectors"] == L * size // 32 * L * (1 + 4)
    assert weighted_sum["global_store_bytes"] == L * size * FLOAT
    assert not any("shared" in name or name.startswith("__") for name in total(found))


@pytest.mark.parametrize(("size", "causal"), [(64, False), (32, True)])
def test_online_softmax(size, causal):
    """A warp's lanes read each key and value that its query sees; five shuffles a score."""
    found, each = of(2, size=size, causal=causal)["online_softmax"], size // 32
    seen = L * (L + 1) // 2 if causal else L * L
    assert found["global_load_bytes"] == (2 * seen + L) * size * FLOAT
    assert found["global_load_sectors"] * SECTOR == found["global_load_bytes"]
    assert found["__shfl_xor_sync"] == 5 * seen
    assert found["global_store_bytes"] == L * (size + 1) * FLOAT
    assert found["flop"] == seen * 32 * (5 * each + 5 + 4) + L * (2 * size + 1)
    assert found["special"] == seen * 64 + L


def tile_products(rows, columns, size, width):
    """Return what rung 3 reads of shared memory for both products of a tile, bytes, by its 128 threads."""
    r, c = rows // 8, columns // 16
    return 128 * (size // 4 * (r + c) * 4 + columns // 4 * (4 * r + 4 * size // 16)) * width


@pytest.mark.parametrize(("size", "dtype"), [(64, "float32"), (32, "float64")])
def test_tiled(size, dtype):
    """Keys and values come once a block; of a number from shared memory come 2 R C / (R + C) FLOP."""
    width = 8 if dtype == "float64" else 4
    tile, found = 256 // width, of(3, size=size, dtype=dtype)["tiled"]
    blocks, tiles = L // tile, (L // tile) ** 2
    assert found["global_load_bytes"] == (blocks + 2 * tiles) * tile * size * width
    assert found["global_load_sectors"] * SECTOR == found["global_load_bytes"]
    assert found["global_store_bytes"] == L * (size + 1) * width
    stored = (blocks + 2 * tiles) * tile * size + tiles * tile * tile
    assert found["shared_store_bytes"] == stored * width
    assert found["shared_load_bytes"] == tiles * tile_products(tile, tile, size, width)
    assert found["__syncthreads"] == 2 * tiles
    assert found["__syncwarp"] == 4 * 3 * tiles
    assert found["__shfl_xor_sync"] == 4 * (tile // 8) * 4 * (tiles + blocks)
    rows, columns = 16 * tile, tile // 16  # a thread's rows, of all threads, and its columns
    of_tile = 4 * tile * tile * size + rows * (2 + 3 * columns + size // 16)
    assert found["flop"] == tiles * of_tile + blocks * (rows * 5 + tile * (size + 1))
    assert found["special"] == tiles * rows * (1 + columns) + L


@pytest.mark.parametrize("size", [64, 128])
def test_tensor_cores(size):
    """The products are those of the formula, to the last FLOP; keys and values come once for 128 queries."""
    found = of(5, size=size, length=256, dtype="float16")["attend"]
    blocks, tiles = 2, 2 * 4
    assert found["tensor_flop"] == 4 * 256 * 256 * size == 4096 * found["mma.sync.m16n8k16"]
    assert found["ldmatrix"] == 4 * tiles * size // 16 * (2 + 4)
    assert found["ldmatrix.trans"] == 4 * tiles * size // 16 * 4
    assert found["global_load_bytes"] == (blocks * 128 + tiles * 2 * 64) * size * HALF
    assert found["global_store_bytes"] == 256 * (size * HALF + FLOAT)
    assert found["shared_load_bytes"] == (found["ldmatrix"] + found["ldmatrix.trans"]) * 512
    assert found["shared_store_bytes"] == found["global_load_bytes"]
    assert found["__syncthreads"] == 2 * tiles
    assert found["__any_sync"] == 4 * tiles


@pytest.mark.parametrize("size", [64, 128])
def test_hopper(size):
    """Of the first product the tensor cores read both operands themselves, of the second only the values."""
    found = of(6, size=size, length=256, dtype="float16")["attend"]
    blocks, tiles, steps = 2, 2 * 2, 128 // 16
    first, second = (found[f"wgmma.mma_async.m64n{n}k16"] for n in (128, size))
    assert found["tensor_flop"] == 4 * 256 * 256 * size
    if size == 128:
        assert first == tiles * 2 * 2 * steps
    else:
        assert (first, second) == (tiles * 2 * size // 16, tiles * 2 * steps)
    assert found["global_load_bytes"] == (blocks * 128 + tiles * 2 * 128) * size * HALF
    assert found["global_load_sectors"] * SECTOR == found["global_load_bytes"] == found["shared_store_bytes"]
    assert found["global_load_distinct"] * SECTOR == 3 * 256 * size * HALF
    assert found["global_store_bytes"] == 256 * (size * HALF + FLOAT)
    groups = tiles * 2
    assert found["shared_load_bytes"] == groups * ((64 + 128) * size + 128 * size) * HALF
    assert found["shared_load_passes"] * 128 == found["shared_load_bytes"]
    assert found["__syncthreads"] == blocks


def test_what_a_box_reaches_beyond_its_array_is_not_asked_for():
    q, k, v = np.zeros((3, 1, 1, 130, 64), np.float16)
    (found,) = count(lambda: flash_attention(q, k, v, rung=6)).values()
    assert found["global_load_bytes"] == (130 + 2 * 2 * 130) * 64 * HALF
    assert found["shared_store_bytes"] == (2 * 128 + 2 * 2 * 256) * 64 * HALF


@pytest.mark.parametrize(
    ("options", "warps"),
    [
        ({}, 4 * 2 * 4),
        ({"causal": True}, 1 + 1 + 2 + 2 + 3 + 3 + 4 + 4),  # of 32 queries each, tiles of 64 keys
        ({"window": (20, 0)}, 1 + 1 + 2 + 1 + 2 + 1 + 2 + 1),
    ],
    ids=str,
)
def test_a_warp_of_rung_5_multiplies_no_tile_that_is_hidden_from_it(options, warps):
    q, k, v = np.zeros((3, 1, 1, 256, 32), np.float16)
    (found,) = count(lambda: flash_attention(q, k, v, rung=5, **options)).values()
    assert found["tensor_flop"] == warps * 4 * 32 * 64 * 32
    assert found["__any_sync"] == warps


def test_nor_does_its_backward():
    """Of 256 rows a warp keeps 32 queries, and takes 32 keys; or keeps 16 keys, and takes 64 queries."""
    found = of(5, length=256, size=32, dtype="float16", causal=True, backward=True)
    queries, keys = (found[f"{kept}_gradients"]["tensor_flop"] for kept in ("query", "key"))
    assert queries == sum(range(1, 8 + 1)) * 3 * 2 * 32 * 32 * 32
    assert keys == 4 * sum(range(1, 4 + 1)) * 4 * 2 * 16 * 64 * 32


def test_rung_3_asks_for_no_row_that_its_block_cannot_see():
    """Tiles of 64 rows; of those behind the last visible key none is read."""
    q, k, v = np.zeros((3, 1, 1, 128, 32), np.float32)
    (found,) = count(lambda: flash_attention(q, k, v, rung=3, window=(20, 0))).values()
    assert found["global_load_bytes"] == (128 + 2 * (64 + 128)) * 32 * FLOAT
    (found,) = count(lambda: flash_attention(q, k, v, rung=3, window=(20, 0), offset=-30)).values()
    assert found["global_load_bytes"] == (128 + 2 * (34 + 98)) * 32 * FLOAT


@pytest.mark.parametrize(("rung", "dtype"), [(3, "float32"), (4, "float32"), (5, "float16")])
@pytest.mark.parametrize("size", [64, 96])
def test_no_two_lanes_meet_in_a_bank(rung, dtype, size):
    """The padding of rungs 3 and 4, the permutation of rung 5: no pass more than the bytes need."""
    for name, n in of(rung, size=size, dtype=dtype, backward=rung == 4).items():
        if rung == 5:
            assert n["shared_store_passes"] * 128 == n["shared_store_bytes"], name
            assert n["shared_load_passes"] * 128 == n["shared_load_bytes"], name
        elif n["shared_load_bytes"]:
            assert n["shared_load_passes"] * 128 <= n["shared_load_bytes"], name


def test_gradients():
    """Seven products for five: 14 L S D on either rung, besides what stands between them."""
    found = total(of(5, dtype="float16", backward=True))
    assert found["tensor_flop"] == 14 * L * L * D
    found = of(4, backward=True)
    kernels = {"query_gradients": 6 * L * L * D, "key_value_gradients": 8 * L * L * D}
    for name, n in kernels.items():
        assert n < found[name]["flop"] < 1.1 * n
    assert found["query_terms"]["flop"] == L * (2 * D + 5 * 32)
    assert found["query_terms"]["global_load_bytes"] == (2 * D + 1) * L * FLOAT
    assert found["sum_again"]["global_load_bytes"] == L * FLOAT  # a look at lse, which is not large here


@pytest.mark.grid
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernels", [1, 2, 3, 5, 6, -4, -5], ids=str)
def test_longer_problems_follow_the_polynomial(monkeypatch, kernels, causal):
    """What is extrapolated from three lengths is what is counted at the fourth, in every number."""
    rung, tile = abs(kernels), TILES[abs(kernels)]
    case = Case(rung, 4 * tile, 32, "float16" if rung > 4 else "float32", 1, causal, kernels < 0)
    monkeypatch.setattr("step03_gpu.count.cases.DIRECT", 3 * tile)
    extrapolated = counted(case)
    monkeypatch.setattr("step03_gpu.count.cases.DIRECT", 4 * tile)
    assert counted(case) == extrapolated


@pytest.mark.parametrize("rung", [2, 3])
def test_heads_do_the_same(monkeypatch, rung):
    """What is multiplied for three heads is what three heads do."""
    from step03_gpu.count import cases as module

    expected = counted(Case(rung, 64, 32, "float32", 3))
    zeros = module.np.zeros
    monkeypatch.setattr(
        module.np,
        "zeros",
        lambda shape, *rest: zeros(shape if isinstance(shape, int) else (1, 3, *shape[2:]), *rest),
    )
    assert counted(Case(rung, 64, 32, "float32", 1)) == expected


def test_which_cases():
    assert [case.rung for case in cases(None, 128, 64)] == [1, 2, 3, 5, 6]
    assert [case.rung for case in cases(None, 128, 64, backward=True)] == [4, 5]
    assert [case.dtype for case in cases(None, 128, 64)] == ["float32"] * 3 + ["bfloat16"] * 2
    assert [case.rung for case in cases(None, 128, 64, "float64")] == [1, 2, 3]
    for wrong, message in (
        ((3, 128, 48), "--head-size is 48; kernels exist for 32, 64, 96, 128"),
        ((3, 400, 64), "--length is 400; beyond 384 it is a multiple of 128"),
        ((5, 128, 64, "float32"), "rung 5 takes float16, bfloat16, not float32"),
    ):
        with pytest.raises(ValueError, match=message):
            cases(*wrong)


def test_the_roof():
    """1 TFLOP of CUDA cores and tensor cores, by the figures of the data sheet."""
    case, counts = Case(5, 128, 64, "float16", 2), {"f": total({})}
    counts["f"].update(
        flop=67 * 10**9, tensor_flop=9895 * 10**8, global_load_distinct=10**6, global_store_sectors=10**9
    )
    found = place(counts)
    assert (found.work, found.tensor_work, found.memory, found.requested) == (
        67 * 10**9,
        9895 * 10**8,
        32 * 10**6,
        32 * 10**9,
    )
    assert times(case, found) == pytest.approx((1e-3, 32e9 / 3.35e12))
    assert products(case) == 2 * 4 * 128 * 128 * 64
    assert products(case._replace(causal=True, backward=True)) == 2 * 10 * 64 * 128 * 129 / 2
    assert H100.flop["float64"] == H100.flop["float32"] / 67 * 34


def test_table_and_json():
    """One rung in both forms: what the table rounds stands in the other as it is."""
    found = [(case, counted(case)) for case in cases(3, L, D)]
    text, (report,) = as_text(found), json.loads(as_json(found))
    assert text.startswith(
        "attention, L = S = 128, D = 64, 1 head; counted at this length. Its products are 4.19 M"
    )
    assert report["total"] == dict(total(found[0][1]))
    assert list(report["kernels"]) == ["tiled<float, 64>"]
    row = next(line for line in text.splitlines() if line.startswith("|    3 "))
    work = report["total"]["flop"]
    assert f"{work / 1e6:.3g} M" in row
    memory = 32 * (report["total"]["global_load_distinct"] + report["total"]["global_store_distinct"])
    assert f"{products(found[0][0]) / memory:.3g}" in row
    assert f"{1e6 * report['seconds_at_least']['perfect_cache']:.3g}" in row
