"""What the emulator counts: kernels whose work a hand can count, instruction by instruction."""

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, count
from step03_gpu.kernels.launch import PTX

N = 256


def counted(body, *arrays, blocks=1, threads=N, shared=0, start="", types=None):
    """Count what a kernel `f` does whose body names its arrays a, b, c …, and one number n."""
    kinds = {"float32": "float", "float64": "double", "uint16": "unsigned short", "int32": "int"}
    names = dict(zip("abcdefg", arrays, strict=False))
    signature = ", ".join(f"{kinds[x.dtype.name]}* {name}" for name, x in names.items())
    text = f'{start}\nextern "C" __global__ void f({signature}, int n) {{ int t = threadIdx.x; {body} }}'
    kernel = RawModule(code=text).get_function("f")
    found = count(lambda: kernel((blocks,), (threads,), (*arrays, np.int32(7)), shared_mem=shared))
    assert list(found) == ["f"]
    return dict(found["f"])


def floats(n=N):
    return np.zeros(n, np.float32)


def test_a_copy():
    """Eight warps read 128 bytes each, in 4 sectors, and write as many; two blocks do it twice."""
    once = {"bytes": 4 * N, "requests": N // 32, "sectors": N // 8}
    found = counted("b[t] = a[t];", floats(), floats(), blocks=2)
    expected = {f"global_{way}_{name}": 2 * n for way in ("load", "store") for name, n in once.items()}
    distinct = {f"global_{way}_distinct": N // 8 for way in ("load", "store")}
    assert found == expected | distinct


@pytest.mark.parametrize(
    ("index", "sectors", "distinct"),
    [
        ("0", 1, 1),  # all lanes the same number
        ("t", 4, 4),
        ("31 - t", 4, 4),
        ("2 * t", 8, 8),
        ("8 * t", 32, 32),  # a sector for each lane
        ("t + 1", 5, 5),  # across an edge
        ("t % 4 * 8", 4, 4),
    ],
)
def test_sectors_of_a_warp(index, sectors, distinct):
    found = counted(f"float x = a[{index}]; if (x > 1) a[0] = x;", floats(), threads=32)
    assert found["global_load_requests"] == 1
    assert (found["global_load_sectors"], found["global_load_distinct"]) == (sectors, distinct)
    assert found["global_load_bytes"] == 128


def test_sectors_are_shared_within_a_request_and_distinct_within_a_launch():
    """Each lane reads 8 numbers one after another: 8 requests of 32 sectors, which are the same 32."""
    found = counted(
        "float x = 0; for (int i = 0; i < 8; i++) x += a[8 * t + i]; b[t] = x;",
        floats(),
        floats(32),
        threads=32,
    )
    assert (found["global_load_requests"], found["global_load_sectors"], found["global_load_distinct"]) == (
        8,
        256,
        32,
    )
    assert found["flop"] == 8 * 32


def test_packs_move_by_one_instruction():
    """16 bytes a lane: one request; 32 bytes are two."""
    found = counted("((float4*)b)[t] = ((float4*)a)[t];", floats(), floats(), threads=32)
    assert (found["global_load_requests"], found["global_load_bytes"], found["global_load_sectors"]) == (
        1,
        512,
        16,
    )
    assert (found["global_store_requests"], found["global_store_bytes"]) == (1, 512)
    start = "struct alignas(16) Pack { double at[4]; };"
    x = np.zeros(128)
    found = counted("((Pack*)b)[t] = ((Pack*)a)[t];", x, x.copy(), threads=32, start=start)
    assert (found["global_load_requests"], found["global_load_bytes"], found["global_load_sectors"]) == (
        2,
        1024,
        64,
    )


@pytest.mark.parametrize(
    ("kind", "index", "passes"),
    [
        ("float", "t", 1),
        ("float", "0", 1),  # one word for all
        ("float", "2 * t", 2),
        ("float", "32 * t", 32),  # all in one bank
        ("float", "33 * t", 1),  # padded by one
        ("double", "t", 2),  # half a warp at a time
        ("double", "16 * t", 32),
        ("float4", "t", 4),  # a quarter
        ("float4", "8 * t", 32),
        ("float4", "9 * t", 4),  # rows of 32 numbers, padded by 4
        ("unsigned short", "t", 1),
        ("unsigned short", "64 * t", 32),
    ],
)
def test_passes_over_the_banks_of_shared_memory(kind, index, passes):
    body = f"extern __shared__ {kind} s[]; {kind} x = s[{index}]; s[{index}] = x;"
    found = counted(body, floats(), threads=32, shared=32 * 1024)
    assert found["shared_load_requests"] == found["shared_store_requests"] == 1
    assert found["shared_load_passes"] == found["shared_store_passes"] == passes
    assert not any(name.startswith("global") for name in found)


def test_variables_in_shared_memory_and_barriers_of_a_block():
    """Two warps, three blocks: a barrier counts once a block."""
    body = "__shared__ float s[64]; s[t] = a[t]; __syncthreads(); a[t] = s[63 - t]; __syncthreads();"
    found = counted(body, floats(64), threads=64, blocks=3)
    assert found["__syncthreads"] == 6
    assert (found["shared_store_bytes"], found["shared_load_bytes"]) == (3 * 256, 3 * 256)
    assert (found["shared_store_passes"], found["shared_load_passes"]) == (6, 6)


def test_instructions_of_a_warp():
    """A shuffle counts once a warp; one of 16 lanes counts as well, and so do the other 16 lanes'."""
    body = """float x = a[t]; for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    x += __shfl_sync(t % 32 < 16 ? 0xffffu : 0xffff0000u, x, t % 32 & 16); __syncwarp(); a[t] = x;"""
    found = counted(body, floats(64), threads=64)
    assert (found["__shfl_xor_sync"], found["__shfl_sync"], found["__syncwarp"]) == (10, 4, 2)
    assert found["flop"] == 6 * 64


@pytest.mark.parametrize(
    ("body", "flop", "special"),
    [
        ("float x = 1; float y = x + 2; y = y - x; y *= 3; y = 1 / y;", 4, 0),
        ("float x = 1, y = fmaf(x, x, 2); y = fma(x, y, y);", 4, 0),
        ("float x = 1, y = expf(x) + logf(x); y = exp2f(y);", 1, 3),
        ("double x = 1, y = exp(x); y = sqrt(y) * y;", 1, 2),
        ("float x = 1, y = -x; y = fmaxf(x, y); bool z = x < y; y = z ? 1 : x;", 0, 0),
        ("float x = n; double y = x; int z = (int)y; y = z; x = y;", 0, 0),
        ("float x[3] = {}; for (int i = 0; i < n; i++) x[i % 3] += x[0] * 2;", 14, 0),
        ("int x = 3 * n + 1; unsigned y = x / 2;", 0, 0),
        ("float2 x = {1, 2}; float y = x.x; y += x.y;", 1, 0),
    ],
)
def test_arithmetic(body, flop, special):
    found = counted(body, floats(), threads=2)
    assert (found.get("flop", 0), found.get("special", 0)) == (2 * flop, 2 * special)


def test_instructions_of_rung_5():
    """Copies, ldmatrix and a product of tensor cores; a copy of what does not exist reads nothing."""
    body = """extern __shared__ float4 memory[]; Shared s = shared_address(memory) + 16 * t;
    copy_16_bytes(s, a + 4 * t, t < 24); commit_copies(); wait_copies<0>(); __syncwarp();
    unsigned x[4]; float c[4] = {}; load_matrices(x, s); mma_half(c, x, x[0], x[1]);"""
    found = counted(body, floats(), threads=32, shared=512, start=PTX.read_text())
    assert (found["global_load_bytes"], found["global_load_requests"], found["global_load_sectors"]) == (
        384,
        1,
        12,
    )
    assert (found["shared_store_bytes"], found["shared_store_passes"]) == (512, 4)
    assert (found["shared_load_bytes"], found["shared_load_requests"], found["shared_load_passes"]) == (
        512,
        1,
        4,
    )
    assert (found["ldmatrix"], found["mma.sync.m16n8k16"], found["tensor_flop"]) == (1, 1, 2 * 16 * 8 * 16)
    assert "flop" not in found


def test_what_threads_keep_for_themselves_is_not_counted():
    body = "float x[8]; for (int i = 0; i < 8; i++) x[i] = n * i; float* y = x; for (int i = 0; i < 8; i++) y[i] += 1;"
    assert counted(body, floats(), threads=1) == {"flop": 8}


def test_lanes_that_leave_a_read_out():
    """Half of a warp reads nothing: one request of half the sectors."""
    found = counted("if (t < 16) a[t] = a[t] + 1;", floats(), threads=32)
    assert (found["global_load_requests"], found["global_load_sectors"]) == (1, 2)


def test_launches_add_up_and_are_otherwise_as_ever():
    x, kernel = (
        floats(32),
        RawModule(code='extern "C" __global__ void f(float* a) { a[threadIdx.x] += 1; }').get_function("f"),
    )
    found = count(lambda: [kernel((1,), (32,), (x,)) for _ in range(3)])
    assert found["f"]["flop"] == 96
    assert found["f"]["global_load_distinct"] == 12
    np.testing.assert_array_equal(x, 6)  # three launches, counted twice
    kernel((1,), (32,), (x,))
    np.testing.assert_array_equal(x, 7)


def test_a_fault_is_a_fault_and_nothing_is_counted_after_it():
    kernel = RawModule(
        code='extern "C" __global__ void f(float* a) { if (threadIdx.x) a[0] = __shfl_sync(~0u, a[1], 0); }'
    ).get_function("f")
    with pytest.raises(EmulatorError, match="waits for lane 0"):
        count(lambda: kernel((1,), (32,), (floats(),)))
    with pytest.raises(EmulatorError, match="waits for lane 0"):
        kernel((1,), (32,), (floats(),))


def test_clang_cannot_count(monkeypatch):
    from step03_gpu.emulator import compiler

    kernel = RawModule(code='extern "C" __global__ void f(float* a) {}').get_function("f")
    monkeypatch.setattr(compiler, "compiler", lambda wanted: ("clang++", "clang version 17"))
    with pytest.raises(EmulatorError, match=r"counted with g\+\+ alone"):
        count(lambda: kernel((1,), (32,), (floats(),)))
