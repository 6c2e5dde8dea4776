"""Hopper's instructions as the emulator plays them, each alone against NumPy, by the PTX ISA's tables."""

import ml_dtypes
import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, warp_order
from step03_gpu.emulator.tensor_map import encode_tiled
from step03_gpu.kernels.launch import PTX

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
MACHINE = "".join(f"{(PTX.parent / name).read_text()}\n" for name in ("ptx.cuh", "ptx_hopper.cuh"))
SWIZZLES = {0: 0, 32: 3, 64: 2, 128: 1}  # bytes, and how a descriptor says so
LANE = np.arange(128) % 32
KERNELS = r"""
#define KERNEL extern "C" __global__ void
#define MEMORY extern __shared__ __align__(1024) unsigned char memory[]; \
    const Shared s = shared_address(memory)
struct Laid { int start, leading, stride, swizzle; };
__device__ Descriptor describe(Shared s, Laid m) {
    return (Descriptor)(address_number(s + m.start) / 16) | (Descriptor)(m.leading / 16) << 16 |
           (Descriptor)(m.stride / 16) << 32 | (Descriptor)m.swizzle << 62;
}
__device__ void fill(unsigned char* to, const unsigned char* from, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
    fence_async_proxy();
    __syncthreads();
}
template <int P>
__device__ void products(float* x, unsigned* a_registers, Descriptor a, Descriptor b, int half, int add) {
    float c[P][4];
    unsigned registers[4];
    float* own = x + threadIdx.x * 4 * P;
    for (int i = 0; i < 4 * P; ++i) c[i / 4][i % 4] = own[i];
    for (int i = 0; i < 4; ++i) registers[i] = a_registers ? a_registers[4 * threadIdx.x + i] : 0;
    fence_products();
    if (a_registers && half) wgmma_half(c, registers, b, add);
    if (a_registers && !half) wgmma_bfloat(c, registers, b, add);
    if (!a_registers && half) wgmma_half(c, a, b, add);
    if (!a_registers && !half) wgmma_bfloat(c, a, b, add);
    commit_products();
    wait_products<0>();
    for (int i = 0; i < 4 * P; ++i) own[i] = c[i / 4][i % 4];
}
KERNEL multiply(const unsigned char* image, int n, Laid a, Laid b, unsigned* registers, int columns, int half,
                int add, float* x) {
    MEMORY;
    fill(memory, image, n);
    if (columns == 64) products<8>(x, registers, describe(s, a), describe(s, b), half, add);
    else products<16>(x, registers, describe(s, a), describe(s, b), half, add);
}
KERNEL two_groups(const unsigned char* image, int n, Laid a, Laid b, float* x) {
    MEMORY;
    fill(memory, image, n);
    float c[8][4], d[8][4];
    fence_products();
    wgmma_half(c, describe(s, a), describe(s, b), 0);
    commit_products();
    wgmma_half(d, describe(s, a), describe(s, b), 0);
    wgmma_half(d, describe(s, a), describe(s, b), 1);
    commit_products();
    wait_products<1>();
    float* own = x + threadIdx.x * 3;
    own[0] = c[0][0], own[1] = isnan(d[0][0]);
    wait_products<0>();
    own[2] = d[0][0];
}
KERNEL box(const __grid_constant__ TensorMap map, int x, int y, int z, int bytes, unsigned char* out) {
    MEMORY;
    const Shared barrier = s + 16384;
    if (threadIdx.x == 0) {
        init_barrier(barrier, 1);
        fence_async_proxy();
        copy_box(s, map, x, y, z, barrier);
        arrive_expecting(barrier, bytes);
    }
    __syncthreads();
    wait_phase(barrier, 0);
    for (int i = threadIdx.x; i < bytes; i += blockDim.x) out[i] = memory[i];
}
// Three warps arrive at one barrier, the fourth waits for it and lets them go by another.
KERNEL phases(int* seen) {
    MEMORY;
    const Shared full = s, empty = s + 8;
    int* number = (int*)(memory + 16);
    if (threadIdx.x == 0) init_barrier(full, 96), init_barrier(empty, 1);
    __syncthreads();
    for (int i = 0; i < 7; ++i)
        if (threadIdx.x < 96) {
            wait_phase(empty, i % 2 ^ 1);
            if (threadIdx.x % 32 == 0) number[threadIdx.x / 32] = i + 1;
            __syncwarp();
            arrive(full);
        } else if (threadIdx.x == 96) {
            wait_phase(full, i % 2);
            seen[i] = number[0] + 10 * number[1] + 100 * number[2];
            arrive(empty);
        }
}
"""
NAMES = ("multiply", "two_groups", "box", "phases")
LAID = np.dtype([(name, "i4") for name in ("start", "leading", "stride", "swizzle")])


@pytest.fixture(scope="module")
def kernels():
    return RawModule(code=MACHINE + KERNELS, options=("-std=c++17",), name_expressions=NAMES).get_function


def permuted(chunk, row, swizzle):
    """Where a 16-byte chunk of a row lies: the ISA's tables of 8 rows of 128, 64 and 32 bytes."""
    flips = {0: 0, 32: row // 4 % 2, 64: row // 2 % 4, 128: row % 8}
    return chunk ^ flips[swizzle]


def by_rows(memory, matrix, laid, swizzle, step=0):
    """Lay (rows, 16) down K-major; step: which 16 columns of a row of the swizzle's length they take."""
    for row, numbers in enumerate(matrix):
        for half, chunk in enumerate(numbers.reshape(2, 8)):
            place = row // 8 * laid["stride"]
            if swizzle:
                place += row % 8 * swizzle + permuted(2 * step + half, row, swizzle) * 16
            else:
                place += row % 8 * 16 + half * laid["leading"]
            put(memory, laid["start"] + place, chunk)


def by_columns(memory, matrix, laid, swizzle):
    """Lay a matrix (16, columns) down MN-major."""
    for k, numbers in enumerate(matrix):
        for n, chunk in enumerate(numbers.reshape(-1, 8)):
            if swizzle:
                across = swizzle // 16
                place = n // across * laid["leading"] + k // 8 * laid["stride"]
                place += k % 8 * swizzle + permuted(n % across, k, swizzle) * 16
            else:
                place = n * laid["stride"] + k // 8 * laid["leading"] + k % 8 * 16
            put(memory, laid["start"] + place, chunk)


def put(memory, place, numbers):
    memory[place : place + 16] = numbers.view(np.uint8)


def laid(start, leading, stride, swizzle, step=0):
    """Return where a matrix lies, and what its descriptor is told: a start 16 columns on for each step."""
    told = np.array((start + 32 * step, leading, stride, SWIZZLES[swizzle]), LAID)
    return {"start": start, "leading": leading, "stride": stride}, told


def fragments(x):
    """Give each thread of a group its share of 64 rows: the ISA's figure for m64nNk16, accumulator D."""
    row = np.arange(128) // 32 * 16 + LANE // 4
    i, columns = np.arange(4), 8 * np.arange(x.shape[1] // 8)
    rows = row[:, None, None] + i // 2 * 8
    return x[rows, columns[:, None] + (2 * (LANE % 4))[:, None, None] + i % 2].reshape(128, -1)


def multiply(kernels, rng, dtype, memory, a, b, columns, add, registers=None):
    before = rng.normal(size=(64, columns)).astype(np.float32)
    x = np.ascontiguousarray(fragments(before))
    numbers = [np.int32(n) for n in (columns, dtype == "float16", add)]
    arguments = memory, np.int32(memory.size), a, b, registers, *numbers, x
    kernels("multiply")((1,), (128,), arguments, shared_mem=memory.size)
    return x - (fragments(before) if add else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("swizzle", SWIZZLES)
@pytest.mark.parametrize("columns", [64, 128])
def test_products_of_two_matrices_by_rows(kernels, rng, dtype, swizzle, columns):
    """64 x 16 times the other's transpose; strides that no other number equals, and a start within a row."""
    memory = rng.integers(0, 256, 40 * 1024).astype(np.uint8)
    a, b = (rng.normal(size=(rows, 16)).astype(DTYPES[dtype]) for rows in (64, columns))
    step = {0: 0, 32: 0, 64: 1, 128: 3}[swizzle]
    places = (1024, 3072, 256, swizzle, step), (20 * 1024, 256, 1024, swizzle, step)
    (a_place, a_told), (b_place, b_told) = (laid(*place) for place in places)
    a_place["stride"] = a_told["stride"] = max(256, 8 * swizzle)
    by_rows(memory, a, a_place, swizzle, step), by_rows(memory, b, b_place, swizzle, step)
    x = multiply(kernels, rng, dtype, memory, a_told, b_told, columns, add=columns == 64)
    expected = a.astype(np.float64) @ b.astype(np.float64).T
    np.testing.assert_allclose(x, fragments(expected), atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("swizzle", SWIZZLES)
@pytest.mark.parametrize("columns", [64, 128])
def test_products_of_registers_and_a_matrix_by_columns(kernels, rng, dtype, swizzle, columns):
    """A in the registers of mma.m16n8k16's A, 16 rows a warp; B as values lie: its rows are summed over."""
    memory = rng.integers(0, 256, 40 * 1024).astype(np.uint8)
    a, b = (rng.normal(size=size).astype(DTYPES[dtype]) for size in ((64, 16), (16, columns)))
    leading, stride = (128, 512) if swizzle == 0 else (4096, 1024 + 1024 * (swizzle == 128))
    place, told = laid(2048, leading, stride, swizzle)
    by_columns(memory, b, place, swizzle)
    i, row = np.arange(4), np.arange(128) // 32 * 16 + LANE // 4
    rows, first = row[:, None] + i % 2 * 8, 2 * (LANE % 4)[:, None] + i // 2 * 8
    bits = a.view(np.uint16).astype(np.uint32)
    registers = bits[rows, first] | bits[rows, first + 1] << 16
    x = multiply(kernels, rng, dtype, memory, told, told, columns, columns == 128, registers)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(x, fragments(expected), atol=1e-5)


def test_products_come_with_their_group(kernels, rng):
    memory, (place, told) = np.zeros(8192, np.uint8), laid(0, 0, 1024, 128)
    a = rng.normal(size=(64, 16)).astype(np.float16)
    by_rows(memory, a, place, 128)
    x = np.zeros((128, 3), np.float32)
    kernels("two_groups")((1,), (128,), (memory, np.int32(8192), told, told, x), shared_mem=8192)
    expected = fragments(a.astype(np.float64) @ a.astype(np.float64).T)[:, 0]
    np.testing.assert_allclose(x, np.stack([expected, np.ones(128), 2 * expected], axis=1), atol=1e-5)


def box_of(x, corner, box):
    """Cut a box out of an array; 0 where that has nothing."""
    padded = np.pad(x, [(300, 300)] * 3)
    return padded[tuple(slice(300 + at, 300 + at + n) for at, n in zip(corner, box, strict=True))]


@pytest.mark.parametrize("swizzle", SWIZZLES)
@pytest.mark.parametrize(
    ("corner", "box"),
    [((0, 0, 0), (1, 8, 0)), ((1, 3, 0), (1, 16, 0)), ((2, 60, 24), (3, 16, 0)), ((-1, -5, -3), (4, 11, 0))],
)
def test_a_box_and_what_lies_outside_of_the_array(kernels, rng, swizzle, corner, box):
    x = rng.integers(1, 1 << 15, size=(4, 70, 88)).astype(np.uint16)
    box = (*box[:2], swizzle // 2 if swizzle else 24)
    strides = x.strides[1], x.strides[0]
    described = encode_tiled(x, x.shape[::-1], strides, box[::-1], swizzle)
    out = np.zeros(np.prod(box) * 2, np.uint8)
    numbers = [np.int32(n) for n in (*corner[::-1], out.size)]
    kernels("box")((1,), (64,), (described, *numbers, out), shared_mem=16384 + 8)
    rows = box_of(x, corner, box).reshape(-1, box[2])
    expected = np.zeros_like(out)
    for row, numbers in enumerate(rows):
        for n, chunk in enumerate(np.ascontiguousarray(numbers).reshape(-1, 8)):
            put(expected, row * rows.shape[1] * 2 + permuted(n, row, swizzle) * 16, chunk)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_phases_let_go_whoever_waits_for_them(kernels, order):
    seen = np.zeros(7, np.int32)
    with warp_order(order, seed=2):
        kernels("phases")((1,), (128,), (seen,), shared_mem=64)
    np.testing.assert_array_equal(seen, 111 * np.arange(1, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (64, 0, 2)}, r"sizes \(64, 0, 2\); from 1 to 2\^32"),
        ({"strides": (136, 8192)}, r"strides \(136, 8192\); multiples of 16"),
        ({"box": (64, 300, 1)}, r"the box \(64, 300, 1\); from 1 to 256"),
        ({"box": (68, 8, 1), "swizzle": 0}, "box rows of 136 bytes; multiples of 16"),
        ({"box": (128, 8, 1)}, "box rows of 256 bytes; at most a swizzle's 128"),
        ({"box": (32, 8, 1)}, "box rows of 64 bytes, shorter than a swizzle's 128, not played here"),
        ({"array": np.zeros(9000, np.uint8)[1:].view()}, "the address .*; a multiple of 16"),
        ({"sizes": (1,) * 6, "strides": (16,) * 5, "box": (64, *[1] * 5)}, "6 axes; from 1 to 5"),
    ],
)
def test_what_the_driver_would_refuse(changes, message):
    given = {"array": np.zeros((2, 64, 64), np.float16), "sizes": (64, 64, 2), "strides": (128, 8192)}
    given |= {"box": (64, 64, 1), "swizzle": 128}
    encode_tiled(**given)
    with pytest.raises(EmulatorError, match=message):
        encode_tiled(**given | changes)
