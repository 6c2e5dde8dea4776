"""Faults of kernels for Hopper, planted: each is reported with its line; the kernel without it is right."""

import re

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, warp_order
from step03_gpu.emulator.tensor_map import encode_tiled
from tests.kernels.test_emulator_faults import line_of
from tests.kernels.test_hopper_instructions import MACHINE

# Where bad is 0 every kernel computes y = x xᵀ of 64 x 16 numbers. The line in which a fault is to be
# reported bears its name.
FAULTS = r"""
#line 101 "hopper.cu"
#define KERNEL(name) extern "C" __global__ void \
    name(const __grid_constant__ TensorMap map, const float* x, float* y, int bad)
#define BEGIN extern __shared__ __align__(1024) float4 memory[]; \
    const Shared s = shared_address(memory), full = s + 16384; float c[8][4];
#define BARRIER if (threadIdx.x == 0) { init_barrier(full, 1); fence_async_proxy(); } __syncthreads();
#define COPY if (threadIdx.x == 0) { arrive_expecting(full, 8192); copy_box(s, map, 0, 0, 0, full); }
#define PRODUCT fence_products(); wgmma_half(c, rows(s), rows(s), 0); commit_products();
#define STORE for (int i = 0; i < 32; ++i) y[threadIdx.x * 32 + i] = c[i / 4][i % 4];
__device__ Descriptor rows(Shared start, Descriptor swizzle = 1) {
    return (Descriptor)(address_number(start) / 16) | 64ull << 32 | swizzle << 62;
}
KERNEL(a_tile_read_before_its_phase) { BEGIN BARRIER COPY
    if (!bad || threadIdx.x < 32) wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
}
KERNEL(a_tile_read_after_the_product_began) { BEGIN BARRIER COPY
    if (!bad || threadIdx.x == 0) wait_phase(full, 0);
    if (bad) __syncwarp();
    fence_products();
    wgmma_half(c, rows(s), rows(s), 0);  // a_tile_read_after_the_product_began
    commit_products();
    wait_phase(full, 0);
    wait_products<0>(); STORE
}
KERNEL(an_accumulator_read_before_its_wait) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT
    if (!bad) wait_products<0>();
    STORE
    wait_products<0>();
}
KERNEL(a_product_in_no_group) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products(); wgmma_half(c, rows(s), rows(s), 0);
    if (!bad) commit_products();
    wait_products<0>(); STORE
}
KERNEL(one_group_too_few_waited_for) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT
    if (bad) wait_products<1>(); else wait_products<0>();
    STORE
}
KERNEL(the_wrong_swizzle) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    wgmma_half(c, rows(s), rows(s, bad ? 2 : 1), 0);  // the_wrong_swizzle
    commit_products(); wait_products<0>(); STORE
}
KERNEL(a_tile_within_a_pattern) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    wgmma_half(c, rows(s + 128 * bad), rows(s), 0);  // a_tile_within_a_pattern
    commit_products(); wait_products<0>(); STORE
}
KERNEL(no_fence_before_the_first_product) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    if (!bad) fence_products();
    wgmma_half(c, rows(s), rows(s), 0);  // no_fence_before_the_first_product
    commit_products(); wait_products<0>(); STORE
}
KERNEL(no_fence_behind_a_write) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT wait_products<0>();
    for (int i = 0; i < 32; ++i) c[i / 4][i % 4] = 0;
    if (!bad) fence_products();
    wgmma_half(c, rows(s), rows(s), 1);  // no_fence_behind_a_write
    commit_products(); wait_products<0>(); STORE
}
KERNEL(an_accumulator_written_before_its_wait) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT
    if (bad) c[3][1] = 0;
    wait_products<0>();  // an_accumulator_written_before_its_wait
    STORE
}
KERNEL(a_fragment_written_before_its_wait) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    float d[8][4];
    unsigned a[4] = {};
    fence_products();
    wgmma_half(d, a, rows(s), 0);
    wgmma_half(c, rows(s), rows(s), 0);
    commit_products();
    if (bad) a[2] = 1;
    wait_products<0>();  // a_fragment_written_before_its_wait
    STORE
}
KERNEL(a_tile_replaced_before_the_product_was_waited_for) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    wgmma_half(c, rows(s), rows(s), 0);  // a_tile_replaced_before_the_product_was_waited_for
    commit_products();
    if (!bad) wait_products<0>();
    __syncthreads(); COPY
    if (bad) wait_products<0>();
    wait_phase(full, 1);
    STORE
}
KERNEL(three_warps_of_a_group) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    if (!bad || threadIdx.x < 96) wgmma_half(c, rows(s), rows(s), 0);
    commit_products(); wait_products<0>(); STORE
}
KERNEL(a_lane_missing) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    if (!bad || threadIdx.x != 40) wgmma_half(c, rows(s), rows(s), 0);  // a_lane_missing
    commit_products(); wait_products<0>(); STORE
}
KERNEL(warps_with_unlike_matrices) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    fence_products();
    wgmma_half(c, rows(s), rows(s + (bad && threadIdx.x >= 64 ? 1024 : 0)), 0);  // warps_with_unlike_matrices
    commit_products(); wait_products<0>(); STORE
}
KERNEL(written_and_not_fenced) { BEGIN
    const unsigned short* bits = (const unsigned short*)x;
    for (int i = threadIdx.x; i < 64 * 16; i += 128)  // the permuted place of each, by hand
        ((unsigned short*)memory)[i / 16 * 64 + ((i / 8 % 2) ^ (i / 16 % 8)) * 8 + i % 8] =
            bits[i / 16 * 64 + i % 16];
    if (!bad) fence_async_proxy();
    __syncthreads();
    PRODUCT wait_products<0>(); STORE
}
KERNEL(a_barrier_that_copies_cannot_see) { BEGIN
    if (threadIdx.x == 0) { init_barrier(full, 1); if (!bad) fence_async_proxy(); }
    __syncthreads();
    if (threadIdx.x == 0) {
        arrive_expecting(full, 8192);
        copy_box(s, map, 0, 0, 0, full);  // a_barrier_that_copies_cannot_see
    }
    wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
}
KERNEL(a_barrier_used_before_it_was_made) { BEGIN
    if (threadIdx.x == (bad ? 127 : 0)) { init_barrier(full, 1); fence_async_proxy(); }
    if (!bad) __syncthreads();
    if (threadIdx.x == 0) {
        arrive_expecting(full, 8192);  // a_barrier_used_before_it_was_made
        copy_box(s, map, 0, 0, 0, full);
    }
    __syncthreads();
    wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
}
KERNEL(bytes_that_never_come) { BEGIN BARRIER
    if (threadIdx.x == 0) { arrive_expecting(full, bad ? 8704 : 8192); copy_box(s, map, 0, 0, 0, full); }
    wait_phase(full, 0);  // bytes_that_never_come
    PRODUCT wait_products<0>(); STORE
}
KERNEL(the_wrong_parity) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT wait_products<0>();
    wait_phase(full, bad);  // the_wrong_parity
    STORE
}
KERNEL(one_arrival_too_many) { BEGIN BARRIER
    if (threadIdx.x == 0) {
        arrive_expecting(full, 8192);
        if (bad) arrive(full);  // one_arrival_too_many
        copy_box(s, map, 0, 0, 0, full);
    }
    wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
}
KERNEL(a_copy_that_nobody_waits_for) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
    if (bad && threadIdx.x == 0) copy_box(s + 8192, map, 0, 0, 0, full);  // a_copy_that_nobody_waits_for
}
KERNEL(a_box_out_of_place) { BEGIN BARRIER COPY
    wait_phase(full, 0);
    PRODUCT wait_products<0>(); STORE
    if (bad && threadIdx.x == 0) copy_box(s + 64, map, 0, 0, 0, full);  // a_box_out_of_place
}
KERNEL(more_registers_than_there_are) { BEGIN BARRIER COPY
    if (bad) take_registers<256, true>(); else take_registers<168, true>();  // more_registers_than_there_are
    wait_phase(full, 0);
    if (threadIdx.x >= 128) return;
    PRODUCT wait_products<0>(); STORE
}
"""
NAMES = re.findall(r"^KERNEL\((\w+)\)", FAULTS, re.MULTILINE)
POISON = "shared memory that no thread of the block had written reached argument 2"
SAID = {
    "a_tile_read_before_its_phase": POISON,
    "a_tile_read_after_the_product_began": "the matrices in shared memory changed before the product was",
    "an_accumulator_read_before_its_wait": POISON,
    "a_product_in_no_group": POISON,
    "one_group_too_few_waited_for": POISON,
    "the_wrong_swizzle": "read with a swizzle of 64 bytes, and was copied with one of 128",
    "a_tile_within_a_pattern": "starts at byte 128 of shared memory, within a pattern of 1024 bytes",
    "no_fence_before_the_first_product": "no wgmma.fence before the first product",
    "no_fence_behind_a_write": "an accumulator was written after the last wgmma.fence",
    "an_accumulator_written_before_its_wait": "an accumulator was written before the wait",
    "a_fragment_written_before_its_wait": "a fragment of A was written before the wait",
    "a_tile_replaced_before_the_product_was_waited_for": "the matrices in shared memory changed before",
    "three_warps_of_a_group": "this warp made 0 products, another of its group 1",
    "a_lane_missing": "wgmma.mma_async with mask 0xffffffff waits for lane 8 for ever",
    "warps_with_unlike_matrices": "the warps of a group take different matrices",
    "written_and_not_fenced": POISON,
    "a_barrier_that_copies_cannot_see": "fence.proxy.async is missing between the barrier's init",
    "a_barrier_used_before_it_was_made": "no mbarrier was initialised at|no __syncthreads has passed since",
    "bytes_that_never_come": "for ever for phase 0 .* of 1 arrivals 0 are missing, and 512 of the bytes",
    "the_wrong_parity": "for ever for phase 1 .* of 1 arrivals 1 are missing, and 0 of the bytes",
    "one_arrival_too_many": "the phase expects 1 arrivals, and this is one more",
    "a_copy_that_nobody_waits_for": "the block has ended, and nobody has waited for this copy",
    "a_box_out_of_place": "is not a multiple of 128 bytes",
    "more_registers_than_there_are": "the block's groups want 73728 registers; there are 65536",
}


@pytest.mark.grid
@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", NAMES)
def test_a_planted_fault(rng, name, order):
    kernel = RawModule(code=MACHINE + FAULTS, name_expressions=NAMES).get_function(name)
    kernel.max_dynamic_shared_size_bytes = 64 * 1024
    x = rng.normal(size=(1, 64, 64)).astype(np.float16)
    described = encode_tiled(x, (64, 64, 1), (128, 8192), (64, 64, 1), 128)
    found, n_threads = np.zeros((128, 8, 4), np.float32), 384 if "registers" in name else 128

    def run(bad):
        arguments = described, x.view(np.float32), found, np.int32(bad)
        with warp_order(order, seed=1):
            kernel((1,), (n_threads,), arguments, shared_mem=16384 + 8)

    run(0)
    lane, product = np.arange(128) % 32, x[0, :, :16].astype(np.float64) @ x[0, :, :16].astype(np.float64).T
    i, row = np.arange(4), np.arange(128) // 32 * 16 + lane // 4
    rows, columns = (
        row[:, None, None] + i // 2 * 8,
        8 * np.arange(8)[:, None] + (2 * (lane % 4))[:, None, None] + i % 2,
    )
    np.testing.assert_allclose(found, product[rows, columns], atol=1e-4)
    with pytest.raises(EmulatorError, match=SAID[name]) as caught:
        run(1)
    place = re.match(
        rf"{name}, block \(0, 0, 0\), thread \(\d+, 0, 0\), hopper\.cu:(\d+): ", str(caught.value)
    )
    marked = f"// {name}\n" in FAULTS
    assert (place is not None) == (SAID[name] != POISON)
    assert not marked or int(place[1]) == line_of(FAULTS, name)
