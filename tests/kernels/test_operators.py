"""The kernels as operators of PyTorch: autograd, compiler, modules, precision. On CPU tensors, emulated."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import step02_torch
from step01_numpy.common.configuration.model import ModelConfig
from step03_gpu.tensors import operators
from step03_gpu.tensors.operators import BACKENDS, as_array, as_tensor, flash_attention, sdpa
from tests.attention.test_attention import allowed, torch_attention
from tests.device_array import Device, Stream
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CASES = [
    {},
    {"causal": True},
    {"window": (3, None), "offset": -2},
    {"causal": True, "window": (9, 9), "scale": 0.3},
]


def draw(rng, dtype=torch.float64, n_queries=9, n_keys=13, size=8, size_v=6, kv_heads=2):
    shapes = [(2, 4, n_queries, size), (2, kv_heads, n_keys, size), (2, kv_heads, n_keys, size_v)]
    shapes.append((2, 4, n_queries, size_v))
    return [torch.tensor(rng.normal(size=shape), device=DEVICE).to(dtype) for shape in shapes]


def run(attention, arrays, *args, **options):
    """Return out, lse and the gradients."""
    *qkv, d_out = arrays
    leaves = [x.clone().requires_grad_() for x in qkv]
    out, lse = attention(*leaves, *args, **options)
    return [x.detach().cpu().numpy() for x in (out, lse, *torch.autograd.grad(out, leaves, d_out))]


@pytest.mark.grid
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("rung", [1, 2, 3, 4])
def test_equals_step02(rng, rung, options):
    arrays = draw(rng)
    mask = torch.tensor(rng.random((2, 1, 9, 13)) < 0.7, device=DEVICE)
    for given in ((), (mask,)):
        expected = run(step02_torch.flash_attention, arrays, *given, **options)
        assert_all_equal64(run(flash_attention, arrays, *given, rung=rung, **options), expected)


@pytest.mark.parametrize(("rung", "dtype"), [(3, "float16"), (5, "float16"), (5, "bfloat16")])
def test_16_bits(rng, rung, dtype):
    kind = getattr(torch, dtype)
    arrays = draw(rng, kind, 40, 50, 32, 32, kv_heads=4)
    out, lse, *gradients = (torch.tensor(x) for x in run_wide(arrays, rung))
    see = allowed(causal=True, n_queries=40, n_keys=50)
    *qkv, d_out = (x.float().cpu().numpy() for x in arrays)
    peers = torch_attention(*qkv, d_out, see, dtype=kind)
    expected = torch_attention(*qkv, d_out, see)
    assert lse.dtype == torch.float32
    for i, x in enumerate((out, *gradients)):
        assert_earned(x.numpy(), peers[i], expected[i], dtype, 3 if i else 2, str(i))


def run_wide(arrays, rung):
    """`run`, with results that NumPy can hold."""
    *qkv, d_out = arrays
    leaves = [x.clone().requires_grad_() for x in qkv]
    out, lse = flash_attention(*leaves, causal=True, rung=rung)
    gradients = torch.autograd.grad(out, leaves, d_out)
    assert {x.dtype for x in (out, *gradients)} == {qkv[0].dtype}
    return [x.detach().float().cpu().numpy() for x in (out, lse, *gradients)]


def test_lse_has_no_gradient(rng):
    q, k, v, _ = draw(rng)
    assert not flash_attention(q.requires_grad_(), k, v, rung=3)[1].requires_grad


@pytest.mark.parametrize("options", [{"softcap": 2.0}, {"bias": True}])
def test_what_kernels_do_not_cover_is_step02s(rng, options):
    arrays = draw(rng)
    options = {
        name: torch.tensor(rng.normal(size=(9, 13)), device=DEVICE) if x is True else x
        for name, x in options.items()
    }
    assert_all_equal64(
        run(flash_attention, arrays, **options), run(step02_torch.flash_attention, arrays, **options)
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rung": 3, "softcap": 2.0}, "rung 3 takes no softcap; rung=0 does"),
        ({"rung": 2, "bias": torch.zeros(9, 13)}, "rung 2 takes no bias; rung=0 does"),
        ({"rung": 5}, "rung 5 takes float16 or bfloat16, not float64"),
        ({"rung": 7}, "rung is 7; expected one of"),
        ({"rung": 3, "scale": float("nan")}, "scale"),
    ],
)
def test_bad_input(rng, change, message):
    q, k, v, _ = draw(rng)
    change = {name: x.to(DEVICE) if isinstance(x, torch.Tensor) else x for name, x in change.items()}
    with pytest.raises(ValueError, match=message):
        flash_attention(q, k, v, **change)


@pytest.mark.parametrize("mask", [False, True])
def test_operators_keep_pytorchs_rules(rng, mask):
    """`opcheck`: the schema, what the compiler is told of shapes, autograd's registration."""
    q, k, v, d_out = draw(rng)
    mask = torch.ones(9, 13, dtype=torch.bool, device=DEVICE) if mask else None
    rule = (True, True, 4, None, None, 0.3, 3)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    torch.library.opcheck(torch.ops.attention_step_by_step.flash_attention, (*leaves, mask, *rule))
    out, lse = (x.detach() for x in torch.ops.attention_step_by_step.flash_attention(*leaves, mask, *rule))
    inputs = (d_out, *(x.detach() for x in (q, k, v)), out, lse, mask, *rule)
    torch.library.opcheck(
        torch.ops.attention_step_by_step.flash_attention_backward,
        inputs,
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize("name", ["flash_attention", "flash_attention_backward"])
def test_no_cuda_graph_records_an_operator(name):
    """`mode="reduce-overhead"` leaves out what is tagged: replayed, CuPy's memory would be another's."""
    operator = getattr(torch.ops.attention_step_by_step, name).default
    assert torch.Tag.cudagraph_unsafe in operator.tags


def on_rung_3(*args, **options):
    return flash_attention(*args, **options, rung=3)


@pytest.mark.usefixtures("unchecked")
def test_compiled_modules_train_alike(rng):
    """step02's attention, compiled in one piece, gives the gradients of the plain one."""
    seed = np.random.default_rng(3)
    plain = step02_torch.MultiHeadAttention(32, 4, 2, rng=seed).double().to(DEVICE)
    layer = step02_torch.MultiHeadAttention(32, 4, 2, attend=on_rung_3).double().to(DEVICE)
    layer.load_state_dict(plain.state_dict())
    x = torch.tensor(rng.normal(size=(2, 9, 32)), device=DEVICE)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found, expected = compiled(x, causal=True), plain(x, causal=True)
    assert_equal64(found.detach().cpu().numpy(), expected.detach().cpu().numpy())
    d_out = torch.tensor(rng.normal(size=(2, 9, 32)), device=DEVICE)
    found.backward(d_out), expected.backward(d_out)
    gradients = [{name: p.grad.cpu().numpy() for name, p in x.named_parameters()} for x in (layer, plain)]
    assert_all_equal64(*gradients)


def test_a_translator_trains_alike(rng):
    """Three updates of the 2017 Transformer, by the kernels and by plain attention."""
    config = ModelConfig(
        vocab_size=20, d_model=16, n_heads=2, d_ff=32, n_layers=1, max_positions=12, dropout=0.0
    )
    source, target = (torch.tensor(rng.integers(3, 20, size=(3, 7)), device=DEVICE) for _ in range(2))
    weights = []
    for attend in (step02_torch.STANDARD, on_rung_3):
        model = (
            step02_torch.Transformer(config, attend=attend, rng=np.random.default_rng(5)).double().to(DEVICE)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            logits = model(source, target[:, :-1])
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten()).backward()
            optimizer.step()
        weights.append({name: x.detach().cpu().numpy() for name, x in model.state_dict().items()})
    assert_all_equal64(*weights)


def test_autocast_rounds_what_attention_is_given(rng):
    """As PyTorch's own attention does: float32 in, the lower precision out, sums in float32."""
    q, k, v, _ = draw(rng, torch.float32)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        out, lse = flash_attention(q, k, v, rung=3)
        peer = torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    expected, _ = flash_attention(*(x.bfloat16() for x in (q, k, v)), rung=3)
    assert out.dtype == peer.dtype == torch.bfloat16
    assert lse.dtype == torch.float32
    assert torch.equal(out, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_under_autocast_come_back_in_float32(rng, dtype):
    q, k, v, d_out = draw(rng, torch.float32)
    leaves, rounded = ([x.to(kind).requires_grad_() for x in (q, k, v)] for kind in (torch.float32, dtype))
    with torch.autocast(DEVICE, dtype=dtype):
        out, _ = flash_attention(*leaves, rung=3)
    found = torch.autograd.grad(out, leaves, d_out.to(dtype))
    expected = torch.autograd.grad(flash_attention(*rounded, rung=3)[0], rounded, d_out.to(dtype))
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == torch.float32
        assert torch.equal(x, y.float())


def test_hidden_rows_of_a_mask_and_arrays_that_are_views(rng):
    q, k, v, d_out = draw(rng)
    mask = torch.tensor(rng.random((13, 9)) < 0.5, device=DEVICE).T
    mask[3] = False
    views = [x.mT.contiguous().mT for x in (q, k, v)]
    assert not views[0].is_contiguous()
    out, lse, d_q, *_ = found = run(flash_attention, (*views, d_out), mask, rung=3)
    assert_all_equal64(found, run(step02_torch.flash_attention, (q, k, v, d_out), mask))
    assert not out[..., 3, :].any()
    assert not d_q[..., 3, :].any()
    assert (lse[..., 3] == -np.inf).all()


def test_tf32_has_no_part_in_it(rng):
    q, k, v, _ = draw(rng, torch.float32, size=64, size_v=64)
    torch.set_float32_matmul_precision("medium")
    try:
        out, _ = flash_attention(q, k, v, rung=3)
    finally:
        torch.set_float32_matmul_precision("highest")
    expected, _ = step02_torch.flash_attention(*(x.double() for x in (q, k, v)))
    assert (out - expected).abs().max() < 2**-18  # TF32 keeps 10 bits: its products are off by some 2^-11


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_memory_is_shared(dtype):
    x = torch.zeros(2, 3, dtype=dtype, device=DEVICE)
    array = as_array(x)
    assert array.dtype.name == str(dtype).removeprefix("torch.")
    again = as_tensor(array)
    again[1, 2] = 1.0
    assert float(x[1, 2]) == 1.0
    assert again.dtype == dtype


def test_each_backend_pinned(rng):
    """Those that serve this device agree, with fewer queries than keys too; the others say so."""
    served = 0
    for backend in BACKENDS:
        for n_queries in (5, 13):
            q, k, v, _ = draw(rng, torch.float32, n_queries, 13, 8, 8, kv_heads=4)
            try:
                found = sdpa(backend, q, k, v, causal=True)
            except RuntimeError:
                continue
            served += 1
            expected, _ = step02_torch.flash_attention(q, k, v, causal=True)
            torch.testing.assert_close(found, expected)
    assert served >= 3


@pytest.mark.usefixtures("unchecked")
def test_no_such_backend():
    q = torch.zeros(1, 2, 3)
    with pytest.raises(
        ValueError, match="backend is 'fastest'; expected one of flash, cudnn, efficient, math"
    ):
        sdpa("fastest", q, q, q)


@pytest.mark.usefixtures("cupy_double", "unchecked")
def test_cupy_works_on_pytorchs_stream_and_device(monkeypatch):
    """By doubles of both: CuPy's older way to a stream warns, which would fail every test on a GPU."""
    tensor = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 1))
    streams = {tensor.device: SimpleNamespace(__cuda_stream__=lambda: (0, 77), cuda_stream=77)}
    monkeypatch.setattr(torch.cuda, "current_stream", streams.get)
    with operators.pytorchs_stream(tensor):
        assert (Device.entered[-1], Stream.entered) == (1, [77])
    assert (Device.entered, Stream.entered) == ([0], [])


@pytest.mark.skipif(DEVICE == "cpu", reason="streams are a GPU's")
def test_kernels_follow_pytorchs_stream(rng):
    arrays = draw(rng, torch.float32, 300, 300, 64, 64)
    expected = run(step02_torch.flash_attention, arrays)[0]
    for _ in range(5):
        with torch.cuda.stream(torch.cuda.Stream()):
            torch.cuda._sleep(10**7)
            late = [x.clone() for x in arrays]
            out, _ = flash_attention(*late[:3], rung=3)
        torch.cuda.synchronize()
        np.testing.assert_allclose(out.cpu().numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "covered"),
    [
        ((2, 3, 64), torch.float32, (None, None), True),
        ((2, 3, 128), torch.bfloat16, (None, None), True),
        ((2, 3, 129), torch.float32, (None, None), False),
        ((2, 3, 64), torch.float32, (torch.zeros(1), None), False),
        ((2, 3, 64), torch.float32, (None, 2.0), False),
        ((2, 3, 64), torch.float8_e5m2, (None, None), False),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_a_gpu_is_given(shape, dtype, options, covered):
    """By what is known of a tensor on a GPU, which need not be here."""
    q = SimpleNamespace(shape=shape, dtype=dtype, is_cuda=True)
    assert operators.covered(q, q, *options) is covered


def test_kernels_are_for_cuda_tensors_unless_asked(rng, monkeypatch):
    """On a CPU the emulator is for learning: without a rung step02 computes."""
    if DEVICE == "cuda":
        pytest.skip("there are CUDA tensors here")
    monkeypatch.setattr(operators, "attend_by_arrays", None)
    arrays = draw(rng)
    assert_all_equal64(run(flash_attention, arrays), run(step02_torch.flash_attention, arrays))
