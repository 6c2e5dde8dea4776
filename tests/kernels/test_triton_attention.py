"""
Triton's kernels: by its interpreter where there is no GPU, and compiled for three generations of GPUs.

conftest.py asks for the interpreter before Triton is first imported, and only where nothing could be launched
anyway; with a GPU the same tests run on it.
"""

import re
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from step01_numpy.common.parity.stage import Stage
from step02_torch import FLASH, Transformer, from_numpy, to_numpy
from tests.attention.test_attention import allowed, torch_attention
from tests.models.test_transformer import SOURCE, TARGET, configuration
from tests.tolerances import EPS, assert_all_equal64, assert_earned

pytest.importorskip("triton", reason="Triton is not installed")
from step03_gpu.tensors import triton_attention as module
from step03_gpu.tensors.triton_attention import triton_attention

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GPU_ONLY = pytest.mark.skipif(module.INTERPRETED, reason="Triton's interpreter computes bfloat16 wrongly")
proof = partial(pytest.param, marks=pytest.mark.proof)
DTYPES = ["float32", "float16", pytest.param("bfloat16", marks=GPU_ONLY)]
BLOCKS = (32, 16)
CASES = {
    "plain": {},
    "causal": {"causal": True},
    "top left": {"causal": True, "offset": 0},
    "whole, partly and not seen": {"causal": True, "n_queries": 65, "n_keys": 97},
    "queries before the first key": {"causal": True, "n_queries": 70, "n_keys": 20},
    "window": {"window": (20, 3)},
    "window, whole tiles within": {"window": (70, 40), "n_keys": 150},
    "window and offset": {"window": (9, None), "offset": -12, "causal": True},
    "far away": {"window": (5, 5), "offset": 10**12},
    "nothing hidden by an offset": {"causal": True, "offset": 10**12},
    "negative scale": {"scale": -0.4, "causal": True},
    "no scale at all": {"scale": 0.0},
    "single query": {"n_queries": 1, "causal": True},
}


def arrays(rng, n_queries=37, n_keys=53, heads=(2,), kv_heads=None, d=24, d_v=17):
    kv_heads = heads if kv_heads is None else kv_heads
    q, d_out = (rng.normal(size=(*heads, n_queries, x)) for x in (d, d_v))
    k, v = (rng.normal(size=(*kv_heads, n_keys, x)) for x in (d, d_v))
    return q, k, v, d_out


def run(q, k, v, d_out, dtype="float32", blocks=BLOCKS, **options):
    """Return out, lse and the gradients as NumPy's arrays in float64."""
    options = {name: from_numpy(x, DEVICE) if name == "mask" else x for name, x in options.items()}
    *leaves, d_out = (from_numpy(x, DEVICE).to(getattr(torch, dtype)) for x in (q, k, v, d_out))
    leaves = [x.requires_grad_() for x in leaves]
    out, lse = triton_attention(*leaves, blocks=blocks, **options)
    assert (out.dtype, lse.dtype) == (leaves[0].dtype, torch.float32)
    out.backward(d_out)
    return [to_numpy(x.double()) for x in (out, lse, *(x.grad for x in leaves))]


def check(given, dtype="float32", see=None, scale=None, **options):
    """Against PyTorch's attention: at most twice its error in this dtype, three times for gradients."""
    q, k, *_ = given
    see = allowed(n_queries=q.shape[-2], n_keys=k.shape[-2], **options) if see is None else see
    given = [to_numpy(torch.tensor(x).to(getattr(torch, dtype)).double()) for x in given]
    peer = torch_attention(*given, see, scale=scale, dtype=getattr(torch, dtype))
    reference = torch_attention(*given, see, scale=scale)
    out, lse, *gradients = run(*given, dtype, scale=scale, **options)
    for name, found, *known in zip(
        ("out", "d_q", "d_k", "d_v"), (out, *gradients), peer, reference, strict=True
    ):
        assert_earned(found, *known, dtype, 2 if name == "out" else 3, name)
    expected = Stage("step02_torch").call("flash_attention", *given[:3], scale=scale, **options)[1]
    assert ((lse == -np.inf) == (expected == -np.inf)).all()
    finite = expected > -np.inf
    bound = 4 * EPS["float32"] * max(1, abs(expected[finite]).max(initial=0))
    np.testing.assert_allclose(lse[finite], expected[finite], rtol=0, atol=bound)


@pytest.mark.parametrize("case", CASES)
def test_every_option(rng, case):
    options = dict(CASES[case])
    sizes = {name: options.pop(name) for name in ("n_queries", "n_keys") if name in options}
    check(arrays(rng, **sizes, heads=(1,)), **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(rng, dtype):
    check(arrays(rng, d=32, d_v=32), dtype, causal=True)


@pytest.mark.parametrize(("d", "d_v"), [(5, 3), (32, 32), (64, 64), (96, 96), (33, 128)])
def test_head_sizes_are_padded_and_cut(rng, d, d_v):
    check(arrays(rng, n_queries=20, n_keys=20, heads=(1,), d=d, d_v=d_v))


@pytest.mark.parametrize(
    ("heads", "kv_heads"), [((), ()), ((6,), (2,)), ((2, 3), (2, 1)), ((2, 1, 2), (2, 1, 1))]
)
def test_grouped_heads(rng, heads, kv_heads):
    given = arrays(rng, n_queries=17, n_keys=21, heads=heads, kv_heads=kv_heads)
    if heads:
        return check(given, causal=True)
    out, lse, *gradients = run(*given, causal=True)
    expected = run(*(x[None] for x in given), causal=True)
    return assert_all_equal64([out, lse, *gradients], [x[0] for x in expected])


@pytest.mark.parametrize(
    "shape", [proof((2, 2, 37, 53)), proof((37, 53)), (53,), proof((2, 1, 1, 53)), (2, 37, 1), ()]
)
def test_mask_of_any_broadcastable_shape(rng, shape):
    mask = np.asarray(rng.random(shape) < 0.6)
    check(arrays(rng, heads=(2, 2), kv_heads=(2, 1)), see=mask, mask=mask)


def test_mask_joins_causal_and_may_be_a_view(rng):
    mask = (rng.random((53, 74)) < 0.6).T[::2]
    see = allowed(mask, causal=True, n_queries=37, n_keys=53)
    given = arrays(rng)
    check(given, see=see, mask=mask, causal=True)
    strided = [x.swapaxes(-1, -2).copy().swapaxes(-1, -2) for x in given]
    for found, expected in zip(run(*strided, mask=mask), run(*given, mask=mask), strict=True):
        assert (found == expected).all()


def test_hidden_rows_are_exactly_nothing(rng):
    """Causal, more queries than keys, and a mask that hides one row more."""
    mask = np.ones((70, 20), bool)
    mask[60] = False
    out, lse, d_q, *_ = run(*arrays(rng, n_queries=70, n_keys=20), causal=True, mask=mask)
    rows = [*range(50), 60]
    assert not out[:, rows].any()
    assert not d_q[:, rows].any()
    assert (lse[:, rows] == -np.inf).all()
    assert np.isfinite(np.delete(lse, rows, axis=1)).all()


@pytest.mark.parametrize("blocks", [(16, 16), (16, 64), (64, 16), None])
def test_tiles_of_any_size(rng, blocks):
    q, k, v, d_out = arrays(rng, heads=(1,))
    found, expected = (run(q, k, v, d_out, blocks=x, causal=True) for x in (blocks, (32, 32)))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [2, 4])
def test_large_scores(rng, size):
    q, k, v, d_out = arrays(rng, heads=(1,))
    check((size * q, size * k, v, d_out), causal=True)


@pytest.mark.parametrize("size", [1, 4, 10, 30])
def test_the_backward_makes_the_forwards_weights_again(rng, size):
    """
    With d_out = 1, the unit matrix, d_v is the weights, transposed: each query's sum to 1, at any scores.

    lse is rounded to float32, which moves a whole row by at most eps · |lse|; a score rounded otherwise than
    in the forward moves it further.
    """
    q, k, v, _ = arrays(rng, heads=(1,), d_v=37)
    _, lse, *_, d_v = run(size * q, size * k, v, np.eye(37)[None], causal=True)
    assert (abs(d_v.sum(axis=-2) - 1) <= EPS["float32"] * (4 + abs(lse))).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"bias": torch.zeros(1)}, ValueError, "takes no bias; step02_torch.flash_attention does"),
        ({"softcap": 3.0}, ValueError, "takes no softcap; step02_torch.flash_attention does"),
        ({"q": torch.zeros(3, 129)}, ValueError, "k has head size 4; q has 129"),
        (
            {"v": torch.zeros(3, 129)},
            ValueError,
            "head sizes are 4 and 129; triton_attention takes up to 128",
        ),
        ({"blocks": (16, 17)}, ValueError, r"blocks is \(16, 17\); expected two powers of two"),
    ],
)
def test_what_is_refused(change, error, message):
    arguments = {name: torch.zeros(3, 4) for name in "qkv"} | change
    with pytest.raises(error, match=message):
        triton_attention(**arguments)


@pytest.mark.usefixtures("unchecked")
def test_float64_is_refused():
    with pytest.raises(TypeError, match="float64; triton_attention takes float32, float16 and bfloat16"):
        triton_attention(*[torch.zeros(3, 4, dtype=torch.float64)] * 3)


def test_a_model_trains_with_it():
    """As `attend=`: gradients of the encoder-decoder equal those with step02's flash attention."""
    config, gradients = configuration(n_layers=1), []
    for attend in (FLASH, triton_attention):
        model = Transformer(config, attend=attend, rng=np.random.default_rng(0)).float().to(DEVICE)
        out = model(from_numpy(SOURCE, DEVICE), from_numpy(TARGET, DEVICE))
        out.backward(torch.linspace(-1, 1, out.numel(), device=DEVICE).view_as(out))
        gradients.append({name: to_numpy(p.grad) for name, p in model.named_parameters()})
    for name, expected in gradients[0].items():
        size = max(1, abs(expected).max())
        np.testing.assert_allclose(gradients[1][name], expected, rtol=0, atol=64 * EPS["float32"] * size)


# Compiles instead of launching: a driver that has no device, only the name of one.
COMPILE = """
import sys
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from step03_gpu.tensors import triton_attention as module

class Driver:
    def get_current_target(self): return GPUTarget("cuda", int(sys.argv[1]), 32)
    def get_current_device(self): return 0
    def get_current_stream(self, device): return 0
    def map_python_to_cpp_type(self, ty): return ty
driver.set_active(Driver())
launch, built = triton.JITFunction.run, []
def run(kernel, *args, grid, warmup, **options):
    built.append(launch(kernel, *args, grid=grid, warmup=True, **options))
triton.JITFunction.run, module._check = run, lambda *_: None
def attend(dtype, size, n_queries, n_keys, heads, mask=None, blocks=None):
    q = torch.zeros(2, heads, n_queries, size, dtype=dtype, requires_grad=True)
    k = torch.zeros(2, 2, n_keys, size, dtype=dtype, requires_grad=True)
    out, _ = module.triton_attention(q, k, k, mask, causal=True, blocks=blocks)
    out.backward(out)
"""
PRINT = """
mask = torch.ones(80, dtype=torch.bool) if sys.argv[2] == "mask" else None
attend(torch.bfloat16, 32, 1, 80, 4, mask, (64, 64))
for kernel in built:
    data, asm = kernel.metadata, kernel.asm
    print(data.name, data.shared, "wgmma" in asm["ptx"], len(asm["cubin"]) > 0)
"""
WRITE = """
from pathlib import Path
attend(torch.float32, 128, 64, 80, 4)
for kernel in built:
    Path(sys.argv[2], kernel.metadata.name + ".ptx").write_text(kernel.asm["ptx"])
"""
COUNT = """
def only_counted(kernel, key, signature, device, *_):
    built.append(kernel.__name__)
    return kernel.device_caches[device][0].setdefault(key, kernel)
def run(kernel, *args, grid, warmup, **options):
    launch(kernel, *args, grid=grid, warmup=True, **options)
triton.JITFunction.run, triton.JITFunction._do_compile = run, only_counted
for n_queries, n_keys, heads in ((1, 1, 2), (1, 16, 4), (7, 33, 4), (64, 64, 6), (128, 4096, 2)):
    for shape in (None, (n_keys,), (heads, n_queries, n_keys)):
        mask = None if shape is None else torch.ones(shape, dtype=torch.bool)
        attend(torch.float16, 64, n_queries, n_keys, heads, mask, (64, 64))
print(sorted(built))
"""


def compiled(script, tmp_path, *arguments):
    environment = {
        "PATH": "/usr/bin:/bin",
        "TRITON_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": ":".join(sys.path),
    }
    command = [sys.executable, "-c", COMPILE + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.proof
@pytest.mark.skipif(
    shutil.which("ptxas") is None, reason="ptxas is not installed: nothing tells of registers"
)
def test_float32_hardly_leaves_the_registers_at_the_largest_head(tmp_path):
    """Of the stack 32 and 8 bytes in the backward; tiles of 32 rows took 8,944."""
    compiled(WRITE, tmp_path, 90, tmp_path)
    for name in ("forward", "key_gradients", "query_gradients"):
        command = ["ptxas", "-v", "-arch=sm_90a", "-o", tmp_path / "out", tmp_path / f"{name}.ptx"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        assert int(re.search(r"(\d+) bytes stack frame", said)[1]) <= 64, (name, said)


def test_other_lengths_heads_and_bands_compile_nothing_anew(tmp_path):
    """Each kernel twice, with a mask and without: it is compiled for a dtype, a head size and tiles."""
    names = ["forward", "key_gradients", "query_gradients"]
    assert compiled(COUNT, tmp_path, 90).strip() == str(sorted([*names, *names, "row_sum"]))


@pytest.mark.parametrize(("arch", "options"), [proof("80", "mask"), ("90", "plain"), proof("100", "mask")])
def test_kernels_compile_for_gpus_that_are_not_here(tmp_path, arch, options):
    """What the launches hand over is compiled to machine code; sm_90's uses the tensor cores' wgmma."""
    built = dict(line.split(maxsplit=1) for line in compiled(PRINT, tmp_path, arch, options).splitlines())
    assert list(built) == ["forward", "row_sum", "key_gradients", "query_gradients"]
    for name, figures in built.items():
        shared, wgmma, code = figures.split()
        assert int(shared) <= 163 * 1024  # bytes that an A100 has
        assert wgmma == str(arch == "90" and name != "row_sum")
        assert code == "True"
