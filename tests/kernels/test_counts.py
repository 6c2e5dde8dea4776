"""What the emulator counts: kernels whose work a hand can count, instruction by instruction."""

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, compiler, count
from step03_gpu.kernels.launch import PTX

N = 256
LONG = "for (int i = 0; i < 8; i++)"
PASSES = [  # type, index, passes of a warp
    ("float", "t", 1),
    ("float", "0", 1),  # one word for all
    ("float", "2 * t", 2),
    ("float", "32 * t", 32),  # all in one bank
    ("float", "33 * t", 1),  # padded by one
    ("double", "t", 2),
    ("double", "16 * t", 32),
    ("float4", "t", 4),
    ("float4", "t / 16", 1),  # two for all
    ("float4", "8 * t", 32),
    ("float4", "9 * t", 4),  # rows of 32 numbers, padded by 4
    ("unsigned short", "t", 1),
    ("unsigned short", "64 * t", 32),
]
ARITHMETIC = [  # text, FLOP, special functions
    ("float x = 1; float y = x + 2; y = y - x; y *= 3; y = 1 / y;", 4, 0),
    ("float x = 1, y = fmaf(x, x, 2); y = fma(x, y, y);", 4, 0),
    ("float x = 1, y = expf(x) + logf(x); y = exp2f(y);", 1, 3),
    ("double x = 1, y = exp(x); y = sqrt(y) * y;", 1, 2),
    ("float x = 1, y = -x; y = fmaxf(x, y); bool z = x < y; y = z ? 1 : x;", 0, 0),
    ("float x = t; double y = x; int z = (int)y; y = z; x = y;", 0, 0),
    ("float x[3] = {}; for (int i = 0; i < 7; i++) x[i % 3] += x[0] * 2;", 14, 0),
    ("int x = 3 * t + 1; unsigned y = x / 2;", 0, 0),
    ("float2 x = {1, 2}; float y = x.x; y += x.y;", 1, 0),
]
SECTORS = [  # index, sectors of a warp
    ("0", 1),  # all lanes the same number
    ("t", 4),
    ("31 - t", 4),
    ("2 * t", 8),
    ("8 * t", 32),  # a sector for each lane
    ("t + 1", 5),  # across an edge
    ("t % 4 * 8", 4),
]
BODIES = {
    "copy": "b[blockIdx.x * 32 + t] = a[blockIdx.x * 32 + t];",
    "in_a_row": f"float x = 0; {LONG} x += a[8 * t + i]; b[t] = x;",
    "packs": "((float4*)b)[t] = ((float4*)a)[t];",
    "wide_packs": "((Wide*)b)[t % 4] = ((Wide*)a)[t % 4];",
    "barriers": "__shared__ float s[64]; s[t] = a[t]; __syncthreads(); a[t] = s[63 - t]; __syncthreads();",
    "shuffles": """float x = a[t]; for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
        x += __shfl_sync(t % 32 < 16 ? 0xffffu : 0xffff0000u, x, t % 32 & 16); __syncwarp(); a[t] = x;""",
    "tensor_cores": """extern __shared__ float4 memory[]; Shared s = shared_address(memory) + 16 * t;
        copy_16_bytes(s, a + 4 * t, t < 24); commit_copies(); wait_copies<0>(); __syncwarp();
        unsigned x[4]; float c[4] = {}; load_matrices(x, s); mma_half(c, x, x[0], x[1]);""",
    "own": f"float x[8]; {LONG} x[i] = i * t; float* y = x; {LONG} y[i] += 1;",
    "half_a_warp": "if (t < 16) a[t] = a[t] + 1;",
    "fault": "if (t) a[0] = __shfl_sync(~0u, a[1], 0);",
    **{f"sectors_{i}": f"b[0] = a[{index}];" for i, (index, _) in enumerate(SECTORS)},
    **{
        f"passes_{i}": f"extern __shared__ {kind} s[]; {kind} x = s[{index}]; s[{index}] = x;"
        for i, (kind, index, _) in enumerate(PASSES)
    },
    **{f"arithmetic_{i}": body for i, (body, _, _) in enumerate(ARITHMETIC)},
}


def kernels():
    text = f"{PTX.read_text()}\nstruct alignas(16) Wide {{ double at[4]; }};\n"
    for name, body in BODIES.items():
        text += f"__global__ void {name}(float* a, float* b) {{ int t = threadIdx.x; {body} }}\n"
    return RawModule(code=text, name_expressions=tuple(BODIES))


KERNELS = kernels()


def counted(name, blocks=1, threads=32, shared=0):
    """Count what a kernel does with two arrays of zeros."""
    kernel, arrays = KERNELS.get_function(name), np.zeros((2, N), np.float32)
    found = count(lambda: kernel((blocks,), (threads,), tuple(arrays), shared_mem=shared))
    assert list(found) == [name]
    return dict(found[name])


def test_a_copy():
    """A warp reads 128 bytes, in 4 sectors, and writes as many; two blocks do it twice."""
    for blocks in (1, 2):
        expected = {"bytes": 128, "requests": 1, "sectors": 4, "distinct": 4}
        ways = ("global_load", "global_store")
        assert counted("copy", blocks) == {f"{x}_{y}": blocks * n for x in ways for y, n in expected.items()}


@pytest.mark.parametrize("i", range(len(SECTORS)), ids=[index for index, _ in SECTORS])
def test_sectors_of_a_warp(i):
    found = counted(f"sectors_{i}")
    assert (found["global_load_requests"], found["global_load_bytes"]) == (1, 128)
    assert found["global_load_sectors"] == found["global_load_distinct"] == SECTORS[i][1]
    assert found["global_store_sectors"] == 1


def test_sectors_are_shared_within_a_request_and_distinct_within_a_launch():
    """Each lane reads 8 numbers one after another: 8 requests of 32 sectors, which are the same 32."""
    found = counted("in_a_row")
    assert (found["global_load_requests"], found["global_load_sectors"]) == (8, 256)
    assert (found["global_load_distinct"], found["flop"]) == (32, 8 * 32)


def test_packs_move_by_one_instruction():
    """16 bytes a lane are one request, 32 bytes two."""
    found = counted("packs")
    for way in ("global_load", "global_store"):
        assert (found[f"{way}_requests"], found[f"{way}_bytes"], found[f"{way}_sectors"]) == (1, 512, 16)
    found = counted("wide_packs")
    for way in ("global_load", "global_store"):
        assert (found[f"{way}_requests"], found[f"{way}_bytes"], found[f"{way}_sectors"]) == (2, 1024, 8)


@pytest.mark.parametrize("i", range(len(PASSES)), ids=[f"{kind} {index}" for kind, index, _ in PASSES])
def test_passes_over_the_banks_of_shared_memory(i):
    found = counted(f"passes_{i}", shared=32 * 1024)
    assert found["shared_load_requests"] == found["shared_store_requests"] == 1
    assert found["shared_load_passes"] == found["shared_store_passes"] == PASSES[i][2]
    assert not any(name.startswith("global") for name in found)


def test_variables_in_shared_memory_and_barriers_of_a_block():
    """Two warps, three blocks: a barrier counts once a block."""
    found = counted("barriers", threads=64, blocks=3)
    assert found["__syncthreads"] == 6
    assert (found["shared_store_bytes"], found["shared_load_bytes"]) == (3 * 256, 3 * 256)
    assert (found["shared_store_passes"], found["shared_load_passes"]) == (6, 6)


def test_instructions_of_a_warp():
    """A shuffle counts once a warp; of two halves that shuffle apart each counts."""
    found = counted("shuffles", threads=64)
    assert (found["__shfl_xor_sync"], found["__shfl_sync"], found["__syncwarp"]) == (10, 4, 2)
    assert found["flop"] == 6 * 64


@pytest.mark.parametrize("i", range(len(ARITHMETIC)))
def test_arithmetic(i):
    found = counted(f"arithmetic_{i}", threads=2)
    assert (found.get("flop", 0), found.get("special", 0)) == tuple(2 * n for n in ARITHMETIC[i][1:])


def test_instructions_of_rung_5():
    """Copies, ldmatrix and a product of tensor cores; a copy of what does not exist reads nothing."""
    found = counted("tensor_cores", shared=512)
    copied = (found["global_load_bytes"], found["global_load_requests"], found["global_load_sectors"])
    assert copied == (384, 1, 12)
    assert (found["shared_store_bytes"], found["shared_store_passes"]) == (512, 4)
    loaded = (found["shared_load_bytes"], found["shared_load_requests"], found["shared_load_passes"])
    assert loaded == (512, 1, 4)
    assert (found["ldmatrix"], found["mma.sync.m16n8k16"], found["tensor_flop"]) == (1, 1, 2 * 16 * 8 * 16)
    assert "flop" not in found


def test_what_threads_keep_for_themselves_is_not_counted():
    assert counted("own", threads=1) == {"flop": 8}


def test_lanes_that_leave_a_read_out():
    """Half of a warp reads nothing: one request of half the sectors."""
    found = counted("half_a_warp")
    assert (found["global_load_requests"], found["global_load_sectors"]) == (1, 2)


def test_launches_add_up_and_compute_what_they_ever_do():
    kernel, (a, b) = KERNELS.get_function("half_a_warp"), np.zeros((2, N), np.float32)
    found = count(lambda: [kernel((1,), (32,), (a, b)) for _ in range(3)])
    assert (found["half_a_warp"]["flop"], found["half_a_warp"]["global_load_distinct"]) == (48, 6)
    np.testing.assert_array_equal(a[:17], [6] * 16 + [0])  # three launches, counted twice
    kernel((1,), (32,), (a, b))
    assert a[0] == 7


def test_a_fault_is_told_as_ever():
    with pytest.raises(EmulatorError, match="waits for lane 0"):
        counted("fault")


def test_clang_cannot_count(monkeypatch):
    monkeypatch.setattr(compiler, "compiler", lambda wanted: ("clang++", "clang version 17"))
    with pytest.raises(EmulatorError, match=r"counted with g\+\+ alone"):
        compiler.compile_kernels("", ("copy",), counting="accesses")
