"""The emulator: CUDA kernels on NumPy arrays, behind the face of `cupy.RawModule`."""

import os
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule, warp_order
from step03_gpu.emulator.compiler import cache_folder, compiler, translate
from tests.tolerances import assert_equal64

KERNELS = r"""
struct Problem { int n; double scale; };

template <typename T, int N>
__global__ void __launch_bounds__(N) block_sum(const T* __restrict__ x, T* y, Problem p) {
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ T of_warp[N / 32], other[2][N];  // two in one declaration
    T* tile = reinterpret_cast<T*>(memory);
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    tile[t] = i < p.n ? x[i] : T(0);
    __syncthreads();
    T sum = other[0][t] = tile[N - 1 - t];
#pragma unroll
    for (int apart = 16; apart; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (t % 32 == 0) of_warp[t / 32] = sum;
    __syncthreads();
    if (t > 0) return;
    for (int w = 1; w < N / 32; ++w) sum += of_warp[w];
    y[blockIdx.x] = sum * T(p.scale);
}

__global__ void indices(int* x) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    x[block * blockDim.x * blockDim.y * blockDim.z + thread] = 10000 * block + thread;
}

template <typename T>
__global__ void shuffles(const T* x, T* y) {
    int lane = threadIdx.x;
    y[lane] = __shfl_sync(0xffffffff, x[lane], 3, 8);
    y[lane + 32] = __shfl_up_sync(0xffffffff, x[lane], 2, 16);
    y[lane + 64] = __shfl_down_sync(0xffffffff, x[lane], 5);
    y[lane + 96] = __shfl_xor_sync(0xffffffff, x[lane], 9);
    if (lane < 16) y[lane + 128] = __shfl_sync(0x0000ffff, x[lane], 15 - lane);
    else y[lane + 128] = __shfl_sync(0xffff0000, x[lane], 47 - lane);
}

__global__ void votes(const int* x, unsigned* y) {
    int t = threadIdx.x;
    unsigned ballot = __ballot_sync(~0u, x[t]), even = 0;
    int any = __any_sync(~0u, x[t] > 99), all = __all_sync(~0u, x[t] < 99);
    if (t % 2 == 0) even = __ballot_sync(0x55555555, x[t]);
    int count = __syncthreads_count(x[t]);
    int either = __syncthreads_or(x[t] > 99), both = __syncthreads_and(x[t] < 99);
    atomicAdd(&y[0], x[t]);
    atomicMax(&y[1], 7 * t % 64);
    atomicMin(&y[2], 100 + t);
    if (atomicCAS(&y[3], 5, 77) == 5) atomicExch(&y[4], t);
    if (t == 32) y[5] = ballot, y[6] = even, y[7] = any, y[8] = all;
    if (t == 32) y[9] = count, y[10] = either, y[11] = both;
}
"""
PROBLEM = np.dtype([("n", np.int32), ("scale", np.float64)], align=True)
NAMES = (
    "block_sum<float, 1024>",
    "block_sum<double, 64>",
    "indices",
    "shuffles<double>",
    "shuffles<int>",
    "votes",
)


@pytest.fixture(scope="module")
def module():
    return RawModule(code=KERNELS, options=("-std=c++17", "-arch=sm_90"), name_expressions=NAMES)


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", NAMES[:2])
def test_template_with_shared_memory_and_a_struct(module, rng, name, order):
    dtype, n = (np.float64, 64) if "double" in name else (np.float32, 1024)
    x, y = rng.standard_normal(5 * n - 9).astype(dtype), np.zeros(5, dtype)
    problem = np.array((x.size, 0.5), PROBLEM)
    with warp_order(order, seed=1):
        module.get_function(name)((5,), (n,), (x, y, problem), shared_mem=n * x.itemsize)
    expected = 0.5 * np.append(x, np.zeros(9, dtype)).reshape(5, n).sum(axis=1, dtype=np.float64)
    if dtype == np.float64:
        assert_equal64(y, expected)
    assert np.abs(y - expected).max() < 1e-4


def test_blocks_and_threads_have_three_dimensions(module):
    x = np.zeros(2 * 3 * 2 * 24, np.int32)
    module.get_function("indices")((2, 3, 2), (2, 3, 4), (x,))
    assert (x.reshape(12, 24) == 10000 * np.arange(12)[:, None] + np.arange(24)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_shuffles(module, dtype):
    x, y, lane = np.arange(100, 132, dtype=dtype), np.zeros(160, dtype), np.arange(32)
    name = "shuffles<double>" if dtype == np.float64 else "shuffles<int>"
    module.get_function(name)((1,), (32,), (x, y))
    up, down = np.where(lane % 16 < 2, lane, lane - 2), np.where(lane + 5 > 31, lane, lane + 5)
    reverse = np.where(lane < 16, 15 - lane, 47 - lane)
    assert (y - 100 == np.concatenate([lane // 8 * 8 + 3, up, down, lane ^ 9, reverse])).all()


def test_votes_and_atomics(module, rng):
    x, y = rng.integers(0, 2, 64).astype(np.int32), np.zeros(12, np.uint32)
    y[2], y[3] = 1000, 5
    module.get_function("votes")((1,), (64,), (x, y))
    bits = x[32:].astype(np.uint64) << np.arange(32, dtype=np.uint64)
    assert list(y[:4]) == [x.sum(), 63, 100, 77]
    assert list(y[5:]) == [bits.sum(), bits[::2].sum(), 0, 1, x.sum(), 0, 1]


WEB = r"""
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
extern "C" __global__ void halve(const half* x, __half* y, __nv_bfloat16* z, float4* wide, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    y[i] = __float2half(__half2float(x[i]) * 0.5f);
    z[i] = __float2bfloat16(float(x[i]));
    if (i == 0) wide[0] = make_float4(fmaxf(x[0], 1.f), rsqrtf(4.f), __expf(-INFINITY), min(3, 2));
}
"""


def test_a_kernel_as_they_are_on_the_web(rng):
    kernel = RawModule(code=WEB).get_function("halve")
    x = rng.standard_normal(100).astype(np.float16)
    y, z, wide = np.zeros_like(x), np.zeros(100, ml_dtypes.bfloat16), np.zeros(4, np.float32)
    kernel((4,), (32,), (x, y, z, wide, np.int32(100)))
    assert (y == x / 2).all()
    assert (z == x.astype(ml_dtypes.bfloat16)).all()
    assert (wide == [max(x[0], 1), 0.5, 0, 2]).all()


ARRAY, NUMBER = np.zeros(4, np.float32), np.int32(4)
READ_ONLY = np.zeros(4, np.float32)
READ_ONLY.flags.writeable = False
LINE = """extern "C" __global__
void scale(const float* x, float* y, int n) { y[threadIdx.x] = n * x[threadIdx.x]; }"""
BAD_LAUNCHES = {
    "argument 2 is a Python int; pass np.int32(4)": ((1,), (4,), (ARRAY, ARRAY, 4), 0),
    "argument 0 is no C-contiguous array": ((1,), (2,), (ARRAY[::2], ARRAY, NUMBER), 0),
    "argument 1 is a read-only array": ((1,), (4,), (ARRAY, READ_ONLY, NUMBER), 0),
    "argument 2 has 8 bytes; the kernel takes 4": ((1,), (4,), (ARRAY, ARRAY, np.float64(4)), 0),
    "argument 2 is an array": ((1,), (4,), (ARRAY, ARRAY, ARRAY), 0),
    "argument 1 is a value": ((1,), (4,), (ARRAY, NUMBER, NUMBER), 0),
    "2 arguments came; the kernel takes 3": ((1,), (4,), (ARRAY, ARRAY), 0),
    "argument 0 is a Python list": ((1,), (4,), ([1.0], ARRAY, NUMBER), 0),
    "has 1056 threads, more than 1024": ((1,), (33, 32), (ARRAY, ARRAY, NUMBER), 0),
    "block=(0,)": ((1,), (0,), (ARRAY, ARRAY, NUMBER), 0),
    "grid=(1, 65536)": ((1, 65536), (4,), (ARRAY, ARRAY, NUMBER), 0),
    "max_dynamic_shared_size_bytes=49152": ((1,), (4,), (ARRAY, ARRAY, NUMBER), 49153),
}


@pytest.mark.parametrize("message", BAD_LAUNCHES)
def test_launches_that_a_gpu_would_misread(message):
    kernel = RawModule(code=LINE).get_function("scale")
    grid, block, args, shared = BAD_LAUNCHES[message]
    with pytest.raises(EmulatorError) as caught:
        kernel(grid, block, args, shared_mem=shared)
    assert message in str(caught.value)


def test_launches_that_are_right():
    kernel = RawModule(code=LINE).get_function("scale")
    y = np.zeros(4, np.float32)
    kernel((1,), (4,), (READ_ONLY + 2, y, np.array(4, np.int32)))
    kernel((1,), (4,), (READ_ONLY, np.zeros(4, np.float32), NUMBER), shared_mem=0)
    assert (y == 8).all()
    kernel.max_dynamic_shared_size_bytes = 100_000
    kernel((1,), (4,), (ARRAY, y, NUMBER), shared_mem=100_000)
    with pytest.raises(EmulatorError, match="a block has 232448"):
        kernel.max_dynamic_shared_size_bytes = 300_000


def test_what_does_not_compile_is_shown_with_its_line():
    code = '\n#line 7 "mine.cu"\ntemplate <int N>\n__global__ void f(int* x) { x[0] = y; }\n'
    with pytest.raises(EmulatorError, match=r"mine\.cu:8:.*‘?y"):
        RawModule(code=code, name_expressions=("f<1>",)).get_function("f<1>")
    with pytest.raises(EmulatorError, match="nothing is extern"):
        RawModule(code=code, name_expressions=("f<1>",)).get_function("f")


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler.cache_clear()
    with pytest.raises(EmulatorError, match="install g"):
        RawModule(code=LINE).get_function("scale")
    compiler.cache_clear()


def test_translation_keeps_lines_and_text():
    code = "__shared__ float /* a\nb */ x[2][N<1, 2>()],\n    y; // __shared__ z;\n"
    code += 'extern __shared__\n float4 d[];\n"//";'
    found = translate(code)
    assert found.count("\n") == code.count("\n")
    assert "EMULATOR_SHARED(x) EMULATOR_SHARED(y)" in found
    assert '"//"' in found
    assert "z" not in found


@pytest.mark.parametrize(("asked", "found"), [("", 16), ("__align__(8)", 16), ("alignas(128)", 128)])
def test_shared_memory_is_aligned_no_further_than_it_asks(asked, found):
    """A kernel that relies on more works by chance, on one GPU and not on the next."""
    code = f"""extern "C" __global__ void f(unsigned long long* x) {{
    extern __shared__ {asked} float4 memory[]; x[0] = (unsigned long long)memory; }}"""
    x = np.zeros(1, np.uint64)
    RawModule(code=code).get_function("f")((1,), (1,), (x,), shared_mem=64)
    assert int(x[0]) % (2 * found) == found


def test_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_STEP_BY_STEP_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        RawModule(code=LINE).get_function("scale")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    RawModule(code=LINE, options=("-DN=3",)).get_function("scale")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    monkeypatch.setenv(
        "ATTENTION_STEP_BY_STEP_CACHE", str(tmp_path / "cache" / next(os.walk(tmp_path / "cache"))[2][0])
    )
    assert cache_folder().is_dir()  # where the folder cannot be made, a temporary one


@pytest.mark.parametrize(("name", "number"), [("clang", "14.0.6"), ("g++ (Debian)", "9")])
def test_too_old_a_compiler_is_not_taken(monkeypatch, tmp_path, name, number):
    program = tmp_path / "clang++"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} {number}" || echo {number}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler.cache_clear()
    with pytest.raises(EmulatorError, match=r"install g\+\+ 11 or later or clang\+\+ 16 or later"):
        RawModule(code=LINE).get_function("scale")
    compiler.cache_clear()


CLANGS = [name for name in ("clang++", *(f"clang++-{n}" for n in range(16, 30))) if shutil.which(name)]


@pytest.mark.parametrize(
    "name", CLANGS or [pytest.param("clang++", marks=pytest.mark.skip("no clang++ here"))]
)
def test_clang(name):
    """What it computes, and that it names the lines of faults: its AddressSanitizer is not g++'s."""
    if compiler(name)[0] != shutil.which(name):
        pytest.skip(f"{name} is older than 16")
    files = [__file__, __file__.replace("emulator", "emulator_faults")]
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    run += ["-k", "template or shuffles or out_of_bounds"]
    subprocess.run(run, env=os.environ | {"CXX": name}, check=True)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="only Linux lists a process's memory maps")
def test_kernels_share_the_stacks_of_their_threads():
    """Linux gives a process some 65,000 memory maps; a stack with its guard is two, a block has 1,024."""

    def maps_after_a_new_kernel(i):
        code = f'extern "C" __global__ void number(int* x) {{ x[threadIdx.x] = threadIdx.x + {i}; }}'
        x = np.zeros(1024, np.int32)
        RawModule(code=code).get_function("number")((1,), (1024,), (x,))
        assert np.array_equal(x, np.arange(1024) + i)
        with open("/proc/self/maps") as maps:
            return len(maps.readlines())

    first, second = (maps_after_a_new_kernel(i) for i in range(2))
    assert second - first < 50
