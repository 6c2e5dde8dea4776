"""Our CUDA kernels as PyTorch's operators: on a CPU by the emulator, eager, compiled and under autocast."""

import numpy as np
import pytest
import torch

from step02_torch import STANDARD, AdamW, Transformer, from_numpy, loss_and_gradients, to_numpy
from step03_gpu.cuda_tensors import flash_attention, sdpa, view
from tests.test_attention import allowed, torch_attention
from tests.test_training import BATCH
from tests.test_transformer import configuration
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPERATOR = torch.ops.attention_step_by_step.flash


def tensors(rng, dtype=torch.float64, heads=(2, 4), kv_heads=(2, 2), lengths=(9, 13), sizes=(8, 6)):
    q = rng.normal(size=(*heads, lengths[0], sizes[0]))
    k, v = (rng.normal(size=(*kv_heads, lengths[1], d)) for d in sizes)
    given = [q, k, v, rng.normal(size=(*q.shape[:-1], v.shape[-1]))]
    return given, [from_numpy(x, DEVICE).to(dtype).requires_grad_() for x in given]


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"window": (3, 1), "offset": 2}, {"scale": -0.4}])
def test_out_and_gradients_equal_pytorchs(rng, options):
    given, (q, k, v, d_out) = tensors(rng)
    out, lse = flash_attention(q, k, v, **options)
    out.backward(d_out)
    shown = {name: x for name, x in options.items() if name != "scale"}
    see = allowed(**shown, n_queries=9, n_keys=13)
    expected = torch_attention(*given, see, scale=options.get("scale"))
    assert_all_equal64([to_numpy(x) for x in (out, q.grad, k.grad, v.grad)], expected)
    assert not lse.requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_dtype(rng, dtype):
    """A copy in float64 is the reference, PyTorch's own attention in this dtype the peer."""
    _, (q, k, v, d_out) = tensors(rng, getattr(torch, dtype))
    out, lse = flash_attention(q, k, v, causal=True)
    out.backward(d_out)
    assert (out.dtype, lse.dtype, q.grad.dtype) == (q.dtype, torch.float32, q.dtype)
    given = [to_numpy(x.double()) for x in (q, k, v, d_out)]
    see = allowed(causal=True, n_queries=9, n_keys=13)
    peer, reference = (torch_attention(*given, see, dtype=x) for x in (q.dtype, torch.float64))
    found = [to_numpy(x.double()) for x in (out, q.grad, k.grad, v.grad)]
    for i, x in enumerate(found):
        assert_earned(x, peer[i], reference[i], dtype, 3 if i else 2)


def test_mask_views_and_hidden_rows(rng):
    _, (q, k, v, d_out) = tensors(rng)
    mask = torch.tensor(rng.random((13, 9)) < 0.5, device=DEVICE).T
    mask[3] = False
    turned = [x.detach().transpose(-1, -2).contiguous().transpose(-1, -2) for x in (q, k, v)]
    expected, _ = STANDARD(q, k, v, mask)
    leaves = [x.requires_grad_() for x in turned]
    out, lse = flash_attention(*leaves, mask)
    assert_equal64(to_numpy(out), to_numpy(expected))
    assert (lse[..., 3] == -torch.inf).all()
    out.backward(d_out)
    assert not out[..., 3, :].any()
    assert not leaves[0].grad[..., 3, :].any()


def test_what_kernels_do_not_cover_is_step02s(rng):
    _, (q, k, v, _) = tensors(rng)
    bias = torch.ones(9, 13, dtype=q.dtype, device=DEVICE)
    for options in ({"bias": bias}, {"softcap": 2.0}, {"rung": 0}):
        found = flash_attention(q, k, v, **options)[0]
        options.pop("rung", None)
        assert_equal64(to_numpy(found), to_numpy(STANDARD(q, k, v, **options)[0]))
    with pytest.raises(ValueError, match="rung 3 takes no softcap; rung=0 does"):
        flash_attention(q, k, v, softcap=2.0, rung=3)


def test_a_view_is_no_copy():
    x = torch.zeros(2, 3, dtype=torch.bfloat16, requires_grad=True)
    view(x)[0, 1] = 1
    assert x[0, 1] == 1
    assert view(x).dtype.name == "bfloat16"


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.parametrize("masked", [False, True])
def test_the_operator_keeps_pytorchs_rules(rng, masked):
    """`opcheck`: schema, fake tensors, autograd and tracing, of shapes that may change too."""
    _, (q, k, v, _) = tensors(rng, heads=(1, 2), kv_heads=(1, 1), lengths=(3, 5))
    mask = torch.ones(3, 5, dtype=torch.bool, device=DEVICE) if masked else None
    torch.library.opcheck(OPERATOR, (q, k, v, mask, True, None, None, None, 0.5, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_rounds_what_attention_takes(rng, dtype):
    """float32 in, 16-bit attention, float32 gradients: equal to what the kernels say in 16 bits."""
    _, (q, k, v, d_out) = tensors(rng, torch.float32)
    with torch.autocast(DEVICE, dtype=dtype):
        out, lse = flash_attention(q, k, v)
    assert (out.dtype, lse.dtype) == (dtype, torch.float32)
    out.backward(d_out.to(dtype))
    rounded = [x.detach().to(dtype).requires_grad_() for x in (q, k, v)]
    expected, _ = flash_attention(*rounded)
    expected.backward(d_out.to(dtype))
    assert torch.equal(out, expected)
    for x, y in zip((q, k, v), rounded, strict=True):
        assert x.grad.dtype == torch.float32
        assert torch.equal(x.grad, y.grad.float())


def test_tf32_is_off():
    """PyTorch's products of float32 matrices, around our kernels, are in float32 too."""
    assert torch.backends.cuda.matmul.fp32_precision in ("none", "ieee")
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.usefixtures("unchecked")
def test_compiled_in_one_graph(rng):
    _, (q, k, v, d_out) = tensors(rng)

    def attend(q, k, v):
        return flash_attention(q * 2, k, v, causal=True)[0] + 1

    compiled = torch.compile(attend, backend="aot_eager", fullgraph=True)
    results = [torch.autograd.grad(f(q, k, v), (q, k, v), d_out) for f in (attend, compiled)]
    assert_all_equal64(*([to_numpy(x) for x in gradients] for gradients in results))


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_trains_as_with_plain_attention(compiled):
    """Three updates of the encoder-decoder in float64: every weight equals that without kernels."""
    config = configuration(n_layers=1)
    attend = (
        torch.compile(flash_attention, backend="aot_eager", fullgraph=True, dynamic=False)
        if compiled
        else flash_attention
    )
    weights = []
    for one in (STANDARD, attend):
        model = Transformer(config, attend=one, rng=np.random.default_rng(0)).double().to(DEVICE)
        adamw = AdamW(model.named_parameters())
        for _ in range(3):
            loss_and_gradients(model, BATCH, smoothing=0.1)
            adamw.step(1e-2)
        weights.append({name: to_numpy(p) for name, p in model.named_parameters() if "w_k.bias" not in name})
    assert_all_equal64(weights[1], weights[0])


@pytest.mark.parametrize("lengths", [(9, 9), (9, 13)])
@pytest.mark.parametrize("causal", [False, True])
def test_pinned_sdpa_keeps_our_contract(rng, causal, lengths):
    _, (q, k, v, _) = tensors(rng, lengths=lengths)
    assert_equal64(
        to_numpy(sdpa("math", q, k, v, causal=causal)), to_numpy(STANDARD(q, k, v, causal=causal)[0])
    )


def test_sdpa_names_its_backends():
    with pytest.raises(ValueError, match="backend is 'fast'; expected one of"):
        sdpa("fast", *[torch.zeros(1, 1, 2, 4)] * 3)
