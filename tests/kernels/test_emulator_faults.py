"""The emulator as a teacher: each planted fault is reported with thread and line, no right kernel is."""

import re

import ml_dtypes
import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, warp_order

# Every kernel is right where bad is 0. The line in which a fault is to be reported bears its name.
WAITS = r"""
#line 101 "waits.cu"
#define KERNEL extern "C" __global__ void
__device__ float sum_of_warp(float x) {
    for (int apart = 16; apart; apart /= 2)
        x += __shfl_xor_sync(0xffffffff, x, apart);  // in_a_function
    return x;
}
KERNEL two_barriers(float* y, int bad) {
    if (bad && threadIdx.x < 64)
        __syncthreads();  // two_barriers
    else
        __syncthreads();
    y[threadIdx.x] = 1;
}
KERNEL barrier_and_shuffle(float* y, int bad) {
    float x = 1;
    if (!bad || threadIdx.x != 5)
        x = __shfl_sync(0xffffffff, x, 0);  // barrier_and_shuffle
    __syncthreads();
    y[threadIdx.x] = x;
}
KERNEL lane_has_returned(float* y, int bad) {
    if (bad && threadIdx.x == 70) return;
    y[threadIdx.x] = __shfl_down_sync(0xffffffff, 1.f, 1);  // lane_has_returned
}
KERNEL in_a_function(float* y, int bad) {
    float x = 1;
    if (!bad || threadIdx.x % 32 < 16) x = sum_of_warp(x);
    y[threadIdx.x] = x;
}
KERNEL lane_misses_vote(float* y, int bad) {
    if (bad && threadIdx.x == 3) __syncwarp();
    y[threadIdx.x] = __any_sync(0xffffffff, 1);  // lane_misses_vote
}
KERNEL lane_misses_syncwarp(float* y, int bad) {
    if (!bad || threadIdx.x != 3)
        __syncwarp();  // lane_misses_syncwarp
    y[threadIdx.x] = __shfl_sync(0xffffffff, 1.f, 0);
}
KERNEL caller_not_in_mask(float* y, int bad) {
    y[threadIdx.x] = __shfl_sync(bad ? 0x7fffffff : 0xffffffff, 1.f, 0);  // caller_not_in_mask
}
KERNEL source_not_in_mask(float* y, int bad) {
    y[threadIdx.x] = 1;
    if (threadIdx.x % 32 < 16)
        y[threadIdx.x] = __shfl_sync(0x0000ffff, 1.f, bad ? 16 : 15);  // source_not_in_mask
}
KERNEL right(float* y, int bad) {
    float x = 1;
    if (threadIdx.x % 2) x = __shfl_sync(0xffffffff, x, 0);  // one shuffle in two branches: sm_70 and later
    else x = __shfl_sync(0xffffffff, x, 1);
    if (threadIdx.x % 32 < 8) x = __shfl_xor_sync(0x000000ff, x, 4);
    y[threadIdx.x] = x;
    if (threadIdx.x > 40) return;  // exited threads do not count at a barrier, nor for __syncwarp and votes
    __syncwarp();
    __syncthreads();
    if (threadIdx.x > 32 && !__all_sync(0xfffffffe, 1)) y[0] = 2;
}
"""
WAITING = re.findall(r"^KERNEL (\w+)", WAITS, re.MULTILINE)


def line_of(code, fault):
    """Return the number of the line marked with a fault, counted from a #line mark or the beginning."""
    before = code.split(f"// {fault}\n")[0]
    start = re.match(r'\n#line (\d+) "', code)
    return before.count("\n") + 1 + (int(start[1]) - 3 if start else 0)


@pytest.mark.grid
@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", WAITING)
def test_waiting_for_ever(name, order, checked):
    if checked and order != "reverse":
        pytest.skip("one order is enough for the same scheduler in another process")
    kernel = RawModule(code=WAITS, name_expressions=WAITING, checked=checked).get_function(name)
    y = np.zeros(96, np.float32)
    with warp_order(order, seed=3):
        kernel((2,), (96,), (y, np.int32(0)))
        assert (y == (32 if name == "in_a_function" else 1)).all()
        if name == "right":
            return
        with pytest.raises(EmulatorError) as caught:
            kernel((2,), (96,), (y, np.int32(1)))
    place = rf"{name}, block \(0, 0, 0\), thread \(\d+, 0, 0\), waits\.cu:(\d+): "
    assert (found := re.match(place, str(caught.value))), caught.value
    lines = [line_of(WAITS, name)] + [line_of(WAITS, name) + 2] * (name == "two_barriers")
    assert int(found[1]) in lines


def test_the_message_says_who_does_not_come():
    kernel = RawModule(code=WAITS, name_expressions=WAITING).get_function("lane_has_returned")
    with pytest.raises(
        EmulatorError, match=r"__shfl_down_sync with mask 0xffffffff waits for lane 6 .* has returned"
    ):
        kernel((1,), (96,), (np.zeros(96, np.float32), np.int32(1)))


MEMORY = r"""
template <typename T, int N>
__global__ void touch(const T* x, T* y, int fault) {
    extern __shared__ T dynamic[];
    __shared__ T fixed[N], other[N];
    T local[N];
    const int t = threadIdx.x;
    for (int i = 0; i < N; ++i) local[i] = T(i);
    dynamic[t] = fixed[t % N] = other[t % N] = 1;
    if (fault == 1) y[0] = x[blockIdx.x * 40 + t + 1];  // argument 0
    if (fault == 2) y[80 + t] = 1;  // argument 1
    if (fault == 3) y[-1 - t] = 1;  // argument 1, before
    if (fault == 4) dynamic[t + 1] = 1;  // dynamic shared memory
    if (fault == 5) fixed[t] = 1;  // __shared__ fixed
    if (fault == 6) y[0] = local[t];  // local variable
    y[blockIdx.x * 40 + t] = x[blockIdx.x * 40 + t] + dynamic[t] + fixed[t % N] + other[t % N] + local[t % N];
}
"""
TOUCH = ("touch<float, 8>", "touch<double, 16>")


@pytest.mark.grid
@pytest.mark.parametrize("name", TOUCH)
@pytest.mark.parametrize("fault", [0, 1, 2, 3, 4, 5, 6])
def test_access_out_of_bounds(name, fault):
    kernel = RawModule(code=MEMORY, name_expressions=TOUCH, checked=True).get_function(name)
    dtype, n = (np.float64, 16) if "double" in name else (np.float32, 8)
    x, y = np.arange(80, dtype=dtype), np.zeros(80, dtype)
    arguments = (2,), (40,), (x, y, np.int32(fault))
    if fault == 0:
        kernel(*arguments, shared_mem=40 * x.itemsize)
        assert (y == x + 3 + np.tile(np.arange(40), 2) % n).all()
        return
    with pytest.raises(EmulatorError) as caught:
        kernel(*arguments, shared_mem=40 * x.itemsize)
    mark = MEMORY.splitlines()[
        found := next(i for i, s in enumerate(MEMORY.splitlines()) if f"fault == {fault}" in s)
    ]
    block, thread = (1, 39) if fault == 1 else (0, {2: 0, 3: 0, 4: 39}.get(fault, n))
    place = f"{name}, block ({block}, 0, 0), thread ({thread}, 0, 0), kernel.cu:{found + 1}: "
    assert str(caught.value).startswith(place)
    assert mark.split("// ")[1].split(",")[0] in str(caught.value)


POISON = r"""
#include <cuda_fp16.h>
template <typename T, typename Shared, int N>
__global__ void reverse(const float* x, T* y, int bad) {
    __shared__ Shared fixed[2][N];
    extern __shared__ Shared dynamic[];
    const int t = threadIdx.x;
    if (!(bad & 1) || t) fixed[1][t] = Shared(x[t]);
    if (!(bad & 2) || t) dynamic[t] = Shared(x[t]);
    __syncthreads();
    y[blockIdx.x * N + t] = T(2) * T(fixed[1][N - 1 - t]) - T(dynamic[N - 1 - t]) / T(2);
}
extern "C" __global__ void move(int* y, int bad) {
    __shared__ int one;
    if (threadIdx.x == 0 && !(bad && blockIdx.x)) one = 7;
    __syncthreads();
    y[blockIdx.x] = one;
}
"""
TYPES = [
    "float, float",
    "double, double",
    "double, float",
    "float, double",
    "half, float",
    "float, half",
    "half, half",
]
REVERSE = [f"reverse<{types}, 32>" for types in TYPES]


@pytest.mark.parametrize("name", REVERSE)
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_shared_memory_that_nobody_wrote(name, bad, rng):
    kernel = RawModule(code=POISON, name_expressions=[*REVERSE, "move"]).get_function(name)
    x = rng.standard_normal(32).astype(np.float32)
    y = np.zeros((2, 32), {"f": np.float32, "d": np.float64, "h": np.float16}[name[8]])
    arguments = (2,), (32,), (x, y, np.int32(bad))
    if bad:
        with pytest.raises(EmulatorError, match=r"reached argument 1 at \(0, 31\) \(2 of 64"):
            kernel(*arguments, shared_mem=256)
    else:
        kernel(*arguments, shared_mem=256)
        assert np.abs(y - 1.5 * x[::-1]).max() < (0.01 if "h" in name[8:] else 1e-6)
    x[3] = np.nan  # the caller's own is his affair
    kernel((2,), (32,), (x, y, np.int32(0)), shared_mem=256)
    assert np.isnan(y[:, 28]).all()


def test_shared_memory_does_not_live_from_block_to_block():
    kernel = RawModule(code=POISON, name_expressions=[*REVERSE, "move"]).get_function("move")
    y = np.zeros(2, np.int32)
    kernel((2,), (64,), (y, np.int32(0)))
    assert (y == 7).all()
    with pytest.raises(EmulatorError, match=r"argument 0 at \(1,\)"):
        kernel((2,), (64,), (y, np.int32(1)))


def test_poison_in_bfloat16():
    code = """#include <cuda_bf16.h>
    extern "C" __global__ void f(nv_bfloat16* y) { __shared__ float x; y[0] = x + 1; }"""
    with pytest.raises(EmulatorError, match="argument 0"):
        RawModule(code=code).get_function("f")((1,), (1,), (np.zeros(1, ml_dtypes.bfloat16),))
