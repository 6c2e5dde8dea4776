"""The emulator runs warps and lanes in several orders: threads that race give several results."""

import re

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, compare_orders, warp_order

RACES = r"""
extern "C" __global__ void across_warps(const float* x, float* y, int bad) {
    __shared__ float tile[128];
    tile[threadIdx.x] = 0;
    __syncthreads();
    tile[threadIdx.x] = x[threadIdx.x];
    if (!bad) __syncthreads();
    y[threadIdx.x] = tile[(threadIdx.x + 32) % 128];
}
extern "C" __global__ void within_a_warp(const float* x, float* y, int bad) {
    __shared__ float tile[128];
    int t = threadIdx.x;
    tile[t] = x[t];
    __syncwarp();
    float neighbour = tile[t ^ 1];
    if (!bad) __syncwarp();
    tile[t] = neighbour;  // without the barrier, the neighbour may find its own number gone
    __syncwarp();
    y[t] = tile[t];
}
extern "C" __global__ void before_the_next_tile(const float* x, float* y, int bad) {
    __shared__ float tile[128];
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
        tile[threadIdx.x] = x[threadIdx.x] + i;
        __syncthreads();
        sum += tile[(threadIdx.x + 64) % 128];
        if (!bad) __syncthreads();
    }
    y[threadIdx.x] = sum;
}
extern "C" __global__ void sum(const float* x, float* y, int bad) { atomicAdd(y, x[threadIdx.x]); }
"""
RACING = re.findall(r"void (\w+)", RACES)


@pytest.mark.parametrize("name", RACING[:-1])
def test_a_missing_barrier_shows_in_another_order(name, rng):
    kernel = RawModule(code=RACES, name_expressions=RACING).get_function(name)
    x, y = rng.standard_normal(128).astype(np.float32), np.zeros(128, np.float32)
    compare_orders(kernel, (1,), (128,), (x, y, np.int32(0)))
    assert y.any()
    with pytest.raises(EmulatorError, match=rf"{name}: .* argument 1 differs at .* in forward order"):
        compare_orders(kernel, (1,), (128,), (x, y, np.int32(1)))


def test_sums_in_any_order_agree_to_a_tolerance(rng):
    kernel = RawModule(code=RACES, name_expressions=RACING).get_function("sum")
    x, y = rng.standard_normal(128).astype(np.float32), np.zeros(1, np.float32)
    with pytest.raises(EmulatorError, match="argument 1 differs"):
        compare_orders(kernel, (1,), (128,), (x, y, np.int32(0)))
    compare_orders(kernel, (1,), (128,), (x, y, np.int32(0)), tolerance=1e-5)
    assert abs(y[0] - x.sum()) < 1e-4


ORDER = r"""
extern "C" __global__ void record(int* order, int* n) { order[atomicAdd(n, 1)] = threadIdx.x; }
extern "C" __global__ void unlike_masks(int* y) {
    unsigned mask = threadIdx.x < 16 ? 0xffffffffu : 0xfffffffeu;
    y[threadIdx.x] = __shfl_sync(mask, threadIdx.x, 5);
}
"""


def test_the_orders_are_what_they_are_called():
    kernel = RawModule(code=ORDER, name_expressions=("record", "unlike_masks")).get_function("record")
    found = {}
    for name in ("forward", "reverse", "random"):
        order, n = np.zeros(96, np.int32), np.zeros(1, np.int32)
        with warp_order(name):
            kernel((1,), (96,), (order, n))
        found[name] = order // 32  # warps
        assert sorted(order) == list(range(96))
    assert list(found["forward"]) == [0] * 32 + [1] * 32 + [2] * 32
    assert list(found["reverse"]) == [2] * 32 + [1] * 32 + [0] * 32


def test_lanes_that_name_unlike_masks():
    kernel = RawModule(code=ORDER, name_expressions=("record", "unlike_masks")).get_function("unlike_masks")
    with pytest.raises(EmulatorError, match=r"unlike_masks.*mask"):
        kernel((1,), (32,), (np.zeros(32, np.int32),))
