"""Rung 5: the instructions, each alone against NumPy, and the attention made of them against PyTorch."""

import ml_dtypes
import numpy as np
import pytest
import torch

from step03_gpu import flash_attention, flash_attention_backward, from_numpy, to_numpy
from step03_gpu.emulator import EmulatorError, RawModule, warp_order
from step03_gpu.kernels.launch import PTX
from tests.attention.test_attention import allowed, torch_attention
from tests.tolerances import EPS, assert_earned

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
NAMES = {"float16": "half", "bfloat16": "bfloat"}  # in the names of instructions
LANE = np.arange(32)


def launch(code, *arrays, n_threads=32, shared=16 * 1024, start="", **types):
    """Run a kernel `f` whose body is `code`, which names its arrays a, b, c …"""
    names = dict(zip("abcdefg", arrays, strict=False))
    kinds = {"float16": "unsigned short", "bfloat16": "unsigned short", "uint16": "unsigned short"}
    kinds |= {"float32": "float", "uint32": "unsigned"}
    signature = ", ".join(f"{kinds[x.dtype.name]}* {name}" for name, x in names.items())
    text = f'{PTX.read_text()}\n{start}\nextern "C" __global__ void f({signature}) {{\n'
    text += f"extern __shared__ float4 memory[]; const Shared s = shared_address(memory); {code}\n}}"
    kernel = RawModule(code=text, options=("-std=c++17",)).get_function("f")
    kernel((1,), (n_threads,), arrays, shared_mem=shared)


def pairs(matrix, row, column):
    """Two neighbours of a row for each lane, packed: the lower half of a register is the first."""
    bits = matrix.view(np.uint16).astype(np.uint32)
    return bits[row, column] | bits[row, column + 1] << 16


@pytest.mark.parametrize("dtype", DTYPES)
def test_mma_takes_the_fragments_that_the_isa_describes(rng, dtype):
    a, b = (rng.normal(size=size).astype(DTYPES[dtype]) for size in ((16, 16), (16, 8)))
    group, member = LANE // 4, LANE % 4
    corners = [(group + 8 * (i % 2), 2 * member + 8 * (i // 2)) for i in range(4)]
    left = np.stack([pairs(a, row, column) for row, column in corners], axis=1)
    right = np.stack([pairs(np.ascontiguousarray(b.T), group, 2 * member + 8 * i) for i in range(2)], axis=1)
    before = rng.normal(size=(32, 4)).astype(np.float32)
    c = before.copy()
    launch(
        f"""int l = threadIdx.x; float (&sum)[4] = *(float(*)[4])(c + 4 * l);
        mma_{NAMES[dtype]}(sum, *(unsigned(*)[4])(a + 4 * l), b[2 * l], b[2 * l + 1]);""",
        left, right, c,
    )  # fmt: skip
    product = a.astype(np.float64) @ b.astype(np.float64)
    expected = np.stack([product[group + 8 * (i // 2), 2 * member + i % 2] for i in range(4)], axis=1)
    np.testing.assert_allclose(c - before, expected, atol=1e-5)


@pytest.mark.grid
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_matrices_reach_the_tensor_core_as_they_lie(rng, dtype, transposed):
    """A @ Bᵀ through ldmatrix, A @ B through ldmatrix.trans: two pieces side by side, 16 x 16 in all."""
    a, b = rng.normal(size=(2, 16, 16)).astype(DTYPES[dtype])
    c = np.zeros((16, 16), np.float32)
    second = (
        ("right[2], right[3]", "right[0], right[1]")
        if transposed
        else ("right[1], right[3]", "right[0], right[2]")
    )
    launch(
        f"""
        int l = threadIdx.x;
        for (int i = 0; i < 2; ++i) copy_16_bytes(s + 16 * (l + 32 * i), (i ? b : a) + 8 * l, true);
        commit_copies(); wait_copies<0>(); __syncthreads();
        unsigned left[4], right[4]; float x[2][4] = {{}};
        Shared own = s + l % 16 * 32 + l / 16 * 16;
        load_matrices(left, own); load_matrices{"_transposed" if transposed else ""}(right, own + 512);
        mma_{NAMES[dtype]}(x[0], left, {second[1]}); mma_{NAMES[dtype]}(x[1], left, {second[0]});
        for (int n = 0; n < 2; ++n) for (int i = 0; i < 4; ++i)
            c[(l / 4 + i / 2 * 8) * 16 + 8 * n + l % 4 * 2 + i % 2] = x[n][i];""",
        a, b, c,
    )  # fmt: skip
    a, b = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(c, a @ b if transposed else a @ b.T, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_ldmatrix_gives_each_lane_two_neighbours_of_each_matrix(rng, transposed):
    a = rng.integers(0, 1 << 16, size=(32, 8)).astype(np.uint16)  # four matrices, one below the other
    got = np.zeros((32, 4), np.uint32)
    name = "load_matrices_transposed" if transposed else "load_matrices"
    launch(
        "int l = threadIdx.x; copy_16_bytes(s + 16 * l, a + 8 * l, true); commit_copies(); wait_copies<0>();"
        f"__syncwarp(); {name}(*(unsigned(*)[4])(b + 4 * l), s + 16 * l);",
        a, got,
    )  # fmt: skip
    for i, matrix in enumerate(a.reshape(4, 8, 8)):
        matrix = np.ascontiguousarray(matrix.T) if transposed else matrix
        np.testing.assert_array_equal(got[:, i], pairs(matrix, LANE // 4, LANE % 4 * 2))


def test_copies_arrive_at_the_wait_for_their_group():
    a, b = np.arange(64, dtype=np.float32), np.zeros((3, 8), np.float32)
    launch(
        """
        const float* seen = (const float*)memory;
        for (int i = 0; i < 2; ++i) { copy_16_bytes(s + 16 * i, a + 4 * i, true); commit_copies(); }
        wait_copies<1>(); for (int i = 0; i < 8; ++i) b[i] = isnan(seen[i]) ? -1 : seen[i];
        wait_copies<0>(); for (int i = 0; i < 8; ++i) b[8 + i] = seen[i];
        copy_8_bytes(s, a + 2, true); copy_8_bytes(s + 8, a + 60, false); copy_16_bytes(s + 16, a, false);
        commit_copies(); wait_copies<0>(); for (int i = 0; i < 8; ++i) b[16 + i] = seen[i];""",
        a, b, n_threads=1,
    )  # fmt: skip
    np.testing.assert_array_equal(b[0], [0, 1, 2, 3, -1, -1, -1, -1])
    np.testing.assert_array_equal(b[1], np.arange(8))
    np.testing.assert_array_equal(b[2], [2, 3, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("if (threadIdx.x < 31) mma_half(x, r, 0, 0);", "mma.* waits for lane 31"),
        ("if (threadIdx.x) load_matrices(r, s);", "ldmatrix .*waits for lane 0"),
        ("load_matrices(r, s + 8);", "ldmatrix.* not a multiple of 16"),
        ("load_matrices(r, s + 16 * 1024);", "outside the block's shared memory"),
        ("copy_16_bytes(s, a + 1, true);", "source .* not a multiple of 16"),
        (
            "copy_16_bytes(s, a, true); wait_copies<0>(); a[0] = ((float*)memory)[0];",
            "argument 0",
        ),  # no commit
    ],
)
def test_what_a_gpu_would_answer_with_nonsense_is_a_fault(code, message):
    with pytest.raises(EmulatorError, match=message):
        launch(f"unsigned r[4] = {{}}; float x[4] = {{}}; {code}", np.zeros(64, np.float32))


def test_conversions_round_as_numpy_does(rng):
    halves = np.arange(1 << 16, dtype=np.uint16)
    edges = halves.view(np.float16)[:0x7C00].astype(np.float32)
    ties = (edges[:-1] + edges[1:]) / 2
    x = np.concatenate(
        [edges, ties, np.nextafter(ties, 0), np.nextafter(ties, 1e9), [65519, 65520, 1e9, np.inf]]
    )
    x = np.concatenate([x, -x, rng.normal(size=7)]).astype(np.float32)
    x = np.resize(x, -(-len(x) // 32) * 32)
    one, half, bfloat, wide = (np.zeros(len(x), t) for t in (np.uint16, np.uint32, np.uint32, np.float32))
    launch(
        f"""for (int i = threadIdx.x; i < {len(x)}; i += 32) {{ b[i] = float_to_half(a[i]);
        c[i] = pack_half(a[i], -a[i]); d[i] = pack_bfloat(a[i], -a[i]); e[i] = half_to_float(b[i]); }}""",
        x, one, half, bfloat, wide,
    )  # fmt: skip
    with np.errstate(over="ignore"):
        expected = [x.astype(DTYPES[name]).view(np.uint16).astype(np.uint32) for name in DTYPES]
    np.testing.assert_array_equal(one, expected[0])
    for packed, bits in zip((half, bfloat), expected, strict=True):
        np.testing.assert_array_equal(packed, bits | (bits ^ 0x8000) << 16)
    np.testing.assert_array_equal(wide, one.view(np.float16))


def arrays(rng, dtype, size, n_queries, n_keys, heads=(1, 1), batch=1, spread=1.0):
    """q, k, v and a gradient for out, rounded to the dtype; scores have a standard deviation of `spread`."""
    of_queries, of_keys = (batch, heads[0], n_queries, size), (batch, heads[1], n_keys, size)
    q, k, v, d_out = (rng.normal(size=shape) for shape in (of_queries, of_keys, of_keys, of_queries))
    return [x.astype(DTYPES[dtype]) for x in (q * spread, k, v, d_out)]


def check(inputs, dtype, mask=None, scale=None, rung=5, **options):
    """Compare out, lse and gradients with float64, as close as PyTorch's in the same dtype."""
    q, k, v, d_out = inputs
    placed = [from_numpy(x) for x in inputs]
    options |= {"mask": None if mask is None else from_numpy(mask), "scale": scale, "rung": rung}
    out, lse = flash_attention(*placed[:3], **options)
    found = [out, *flash_attention_backward(placed[3], *placed[:3], out, lse, **options)]
    known = {name: options[name] for name in ("causal", "window", "offset") if name in options}
    see = allowed(mask, n_queries=q.shape[2], n_keys=k.shape[2], **known)
    reference, peer = (
        torch_attention(q, k, v, d_out, see, None, scale, t) for t in (torch.float64, getattr(torch, dtype))
    )
    for name, x, p, r in zip(("out", "d_q", "d_k", "d_v"), found, peer, reference, strict=True):
        if name in ("d_q", "d_k") and q.shape[2] == k.shape[2] == 1:
            check_cancelled(to_numpy(x), r, k if name == "d_q" else q, d_out, v, scale)
        else:
            assert_earned(to_numpy(x), p, r, dtype, 2 if name == "out" else 3, name)
    check_lse(to_numpy(lse), q, k, see, scale)
    hidden = ~np.broadcast_to(see, (*q.shape[:2], *see.shape[-2:])).any(axis=-1)
    assert not to_numpy(out)[hidden].any()
    assert not to_numpy(found[1])[hidden].any()
    return tuple(to_numpy(x) for x in (out, lse, *found[1:]))


def check_cancelled(x, reference, other, d_out, v, scale):
    """
    Bound d_q or d_k of a single query and key, which is 0: the key's weight is 1 whatever its score.

    Not 0 bit by bit: d_out · v and d_out · out are the same sum in two orders, each in float32. What is
    left is multiplied by the scale and by `other`, the key or the query.
    """
    assert not reference.any()
    assert x.shape[2] == other.shape[2] == 1
    d_out, v, other = (abs(y.astype(np.float64)) for y in (d_out, v, other))
    scale = x.shape[-1] ** -0.5 if scale is None else scale
    allowed = 2 * EPS["float32"] * (d_out * v).sum(axis=-1, keepdims=True) * other * scale
    assert (abs(x.astype(np.float64)) <= allowed).all()


def check_lse(lse, q, k, see, scale):
    """Compare lse with float64, as close as PyTorch's in float32."""
    expected = []
    for dtype in (torch.float64, torch.float32):
        wide = [torch.tensor(x.astype(np.float64)).to(dtype) for x in (q, k)]
        scores = wide[0] @ wide[1].repeat_interleave(q.shape[1] // k.shape[1], 1).mT
        scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale)
        expected.append(scores.masked_fill(~torch.tensor(see), -torch.inf).logsumexp(-1).double().numpy())
    reference, peer = expected
    hidden = reference == -np.inf
    np.testing.assert_array_equal(lse == -np.inf, hidden)
    lse, peer, reference = (np.where(hidden, 0, x) for x in (lse, peer, reference))
    assert_earned(lse, peer, reference, "float32", 2, "lse")


@pytest.mark.grid
@pytest.mark.parametrize("size", [32, 64, 96, 128])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_and_dtype(rng, dtype, size):
    check(arrays(rng, dtype, size, 130, 150, heads=(4, 2)), dtype, causal=True)


@pytest.mark.grid
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("n_queries", "n_keys"),
    [(1, 1), (1, 300), (5, 65), (127, 63), (128, 128), (129, 257), (257, 129), (300, 20)],
)
def test_lengths_around_tile_edges(rng, n_queries, n_keys, causal):
    """With more queries than keys the first ones see nothing: out, d_q 0 and lse -inf."""
    check(arrays(rng, "float16", 64, n_queries, n_keys, batch=2), "float16", causal=causal)


@pytest.mark.parametrize(
    "options",
    [
        {"window": (20, 10)},
        {"window": (70, None), "causal": True},
        {"window": (None, 3), "offset": -40},
        {"window": (0, 0), "offset": 100},
        {"window": (1, 1), "offset": 0},  # of the tiles beside the diagonal's a warp sees one key
        {"causal": True, "offset": 0},
        {"causal": True, "offset": -1000},
        {"window": (10, 10), "offset": 10**9},
    ],
    ids=str,
)
def test_windows_and_offsets_skip_tiles(rng, options):
    check(arrays(rng, "float16", 64, 200, 333, heads=(2, 2)), "float16", **options)


@pytest.mark.parametrize("shape", [(2, 4, 130, 150), (2, 1, 1, 150), (130, 1), (4, 1, 150)])
def test_masks_with_hidden_rows(rng, shape):
    mask = rng.random(shape) < 0.5
    mask[..., 60 % shape[-2], :] = False
    check(arrays(rng, "float16", 64, 130, 150, heads=(4, 2), batch=2), "float16", mask, causal=True)


@pytest.mark.parametrize("scale", [None, 0.3, -0.125, 0.0])
def test_scores_that_outgrow_the_reference(rng, scale):
    """The references are raised in tile after tile, and what was summed before is scaled down."""
    q, k, v, d_out = arrays(rng, "float16", 64, 70, 400, spread=4)
    k *= np.linspace(0.1, 3, 400)[:, None].astype(np.float16)
    check([q, k, v, d_out], "float16", scale=scale)


@pytest.mark.parametrize(("dtype", "size"), [("bfloat16", 133120), ("bfloat16", 3e4), ("float16", 1e4)])
def test_scores_beyond_what_2_to_their_power_can_hold(rng, dtype, size):
    """q = k = v, all alike (pytorch/pytorch#121558): every weight is 1/n, however large the scores are."""
    x = np.full((1, 2, 40, 64), size, DTYPES[dtype])
    placed = [from_numpy(x)] * 3
    for options in ({}, {"causal": True}):
        out, lse = (to_numpy(y) for y in flash_attention(*placed, rung=5, **options))
        np.testing.assert_array_equal(out, x)
        expected = float(x[0, 0, 0, 0]) ** 2 * 8
        np.testing.assert_allclose(lse, expected, rtol=64 * 2.0**-24)  # of the sum over D = 64


@pytest.mark.parametrize("spread", [30, 3000])
def test_large_scores_that_differ(rng, spread):
    """One key or a few win: as close to float64 as PyTorch's own attention in this dtype."""
    q, k, v, d_out = arrays(rng, "float16", 64, 70, 130, spread=spread)
    found = to_numpy(flash_attention(*(from_numpy(x) for x in (q, k, v)), rung=5)[0])
    see = allowed(n_queries=70, n_keys=130)
    reference, peer = (
        torch_attention(q, k, v, d_out, see, None, None, t)[0] for t in (torch.float64, torch.float16)
    )
    assert_earned(found, peer, reference, "float16", 2, "out")


@pytest.mark.parametrize("order", [("reverse", 0), ("random", 1), ("random", 2)])
def test_no_barrier_is_missing(rng, order):
    """Whichever warp goes first, the bits are the same."""
    for size in (64, 128):
        inputs = arrays(rng, "float16", size, 200, 200, heads=(2, 1))
        expected = check(inputs, "float16", causal=True)
        with warp_order(*order):
            found = check(inputs, "float16", causal=True)
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_array_equal(x, y)


def test_nan_goes_its_way(rng):
    q, k, v, _ = arrays(rng, "bfloat16", 64, 70, 130)
    k[..., 100, 0] = np.nan
    placed = [from_numpy(x) for x in (q, k, v)]
    out, lse = (to_numpy(x) for x in flash_attention(*placed, window=(None, 0), offset=40, rung=5))
    assert np.isnan(lse[..., 60:]).all()
    assert np.isnan(out[..., 60:, :].astype(np.float32)).all()
    assert not np.isnan(lse[..., :60]).any()


def test_other_dtypes_are_refused(rng):
    x = rng.normal(size=(1, 1, 3, 32)).astype(np.float32)
    with pytest.raises(ValueError, match="rung 5 takes float16 or bfloat16, not float32"):
        flash_attention(x, x, x, rung=5)
