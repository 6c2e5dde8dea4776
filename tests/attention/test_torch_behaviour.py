"""What users of PyTorch expect of step02's attention: second derivatives, transforms, tracing, autocast."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional

import step02_torch as step02
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

ATTENTIONS = {
    "simple": step02.simple_attention,
    "plain": step02.scaled_dot_product_attention,
    "flash": step02.flash_attention,
}
BOTH = ["plain", "flash"]
HIDDEN = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)  # a row without a key
BIAS = torch.tensor([[0.5, -1.0, 2.0, 0.0], [-torch.inf] * 4, [1.0, -torch.inf, 0.0, 3.0]])
OPTIONS = {
    "plain": {},
    "causal": {"causal": True},
    "mask": {"mask": HIDDEN},
    "bias": {"bias": BIAS},
    "all": {"window": (1, 2), "softcap": 2.0, "scale": 0.7, "bias": BIAS},
}


def draw(rng, dtype=torch.float64, size=1.0):
    """Return q, k, v, with fewer heads of keys and values, and an upstream gradient."""
    shapes = (2, 4, 3, 5), (2, 2, 4, 5), (2, 2, 4, 6), (2, 4, 3, 6)
    return [torch.tensor(size * rng.normal(size=shape)).to(dtype) for shape in shapes]


def by_torch(q, k, v, mask=None, *, bias=None, causal=False, window=None, softcap=None, scale=None):
    """Attend in PyTorch's own operations, written out; 0 where no key is seen."""
    k, v = (x.repeat_interleave(2, dim=-3) for x in (k, v))
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores if softcap is None else softcap * (scores / softcap).tanh()
    ahead = torch.arange(4) - torch.arange(3)[:, None] - 1
    see = torch.ones(3, 4, dtype=torch.bool) if mask is None else mask
    see = see & (ahead <= 0) if causal else see
    see = see if window is None else see & (ahead >= -window[0]) & (ahead <= window[1])
    bias = torch.zeros(3, 4, dtype=q.dtype) if bias is None else bias.to(q.dtype)
    bias = bias.masked_fill(~see, -torch.inf)
    empty = (bias == -torch.inf).all(dim=-1, keepdim=True)
    weights = (scores + bias.masked_fill(empty, 0)).softmax(dim=-1).masked_fill(empty, 0)
    return weights @ v


def penalised(attention, arrays, **options):
    """Return the gradients of a loss of which a part is the square of its own gradients."""
    *qkv, d_out = arrays
    leaves = [x.clone().requires_grad_() for x in qkv]
    out = attention(*leaves, **options)
    loss = (out * d_out).sum() + out.square().sum()
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    return [x.numpy() for x in torch.autograd.grad(loss + sum(x.square().sum() for x in first), leaves)]


@pytest.mark.grid
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", BOTH)
def test_a_gradient_penalty_equals_torchs(rng, name, options):
    arrays = draw(rng)
    found = penalised(lambda *qkv, **o: ATTENTIONS[name](*qkv, **o)[0], arrays, **options)
    assert_all_equal64(found, penalised(by_torch, arrays, **options))


def test_second_derivatives_over_several_tiles(rng):
    """Also beside inputs that are constants."""
    q, k, v, d_out = (torch.tensor(rng.normal(size=(n, 2))) for n in (300, 600, 600, 300))

    def second(attention):
        x = k.clone().requires_grad_()
        (d_k,) = torch.autograd.grad((attention(q, x, v) * d_out).sum(), x, create_graph=True)
        return torch.autograd.grad(d_k.square().sum(), x)[0].numpy()

    found = second(lambda *qkv: step02.flash_attention(*qkv)[0])
    assert_equal64(found, second(functional.scaled_dot_product_attention))


def test_bias_stays_a_constant_in_second_derivatives(rng):
    *qkv, _ = draw(rng)
    q, bias = qkv[0].requires_grad_(), torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    (d_q,) = torch.autograd.grad(step02.flash_attention(*qkv, bias=bias)[0].sum(), q, create_graph=True)
    assert torch.autograd.grad(d_q.sum(), bias, allow_unused=True) == (None,)


@pytest.mark.grid
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", BOTH)
def test_transforms_of_functions(rng, name, options):
    """`vmap` over the batch, a Jacobian, and gradients of each sample, equal what loops and autograd give."""
    *qkv, d_out = draw(rng)

    def attend(*qkv):
        return ATTENTIONS[name](*qkv, **options)[0]

    def loss(*qkv):
        return (attend(*qkv) * d_out[0]).sum()

    out = attend(*qkv)
    assert_equal64(vmap(attend)(*qkv).numpy(), out.numpy())
    shared = vmap(attend, in_dims=(0, None, None))(qkv[0], qkv[1][0], qkv[2][0])
    assert_equal64(shared[1].numpy(), attend(qkv[0][1], qkv[1][0], qkv[2][0]).numpy())
    each = vmap(grad(loss, argnums=(0, 1, 2)))(*qkv)
    for row in range(2):
        leaves = [x[row].clone().requires_grad_() for x in qkv]
        expected = torch.autograd.grad(loss(*leaves), leaves)
        assert_all_equal64([x[row].numpy() for x in each], [x.numpy() for x in expected])
    jacobian = jacrev(attend)(*(x[0] for x in qkv))
    assert_equal64(
        jacobian.numpy(), jacrev(lambda q: by_torch(q, qkv[1][0], qkv[2][0], **options))(qkv[0][0]).numpy()
    )


@pytest.mark.grid
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", BOTH)
def test_shapes_alone_on_meta(rng, name, options):
    q, k, v, _ = (x.to("meta") for x in draw(rng))
    options = {key: x.to("meta") if isinstance(x, torch.Tensor) else x for key, x in options.items()}
    out, saved = ATTENTIONS[name](q, k, v, **options)
    assert out.is_meta
    assert out.shape == (2, 4, 3, 6)
    assert saved.is_meta
    assert saved.shape[:3] == (2, 4, 3)


class Attention(torch.nn.Module):
    """Attention as a module, for what takes modules only."""

    def __init__(self, attend, options):
        super().__init__()
        self.attend, self.options = attend, options

    def forward(self, *qkv):
        return self.attend(*qkv, **self.options)[0]


ROOT = Path(__file__).parent.parent.parent
PROOF = pytest.mark.proof  # a trace takes a second
TRACED = [
    pytest.param("simple", "plain", marks=PROOF),
    pytest.param("plain", "all"),
    *(pytest.param(name, x, marks=PROOF) for name in BOTH for x in OPTIONS if (name, x) != ("plain", "all")),
]
COMPILED = [x for x in TRACED if x.values[0] != "flash"]  # there the suite's checker bars PyTorch's way
ALONE = """
import numpy as np
from tests.attention.test_torch_behaviour import OPTIONS, test_compiled_in_one_piece

for case in OPTIONS:
    test_compiled_in_one_piece(np.random.default_rng(0), "flash", case)
    print(case)
"""


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("name", "case"), COMPILED)
def test_compiled_in_one_piece(rng, name, case):
    """Numbers and gradients are those of eager mode, 0 for a row without a key."""
    arrays, module = draw(rng), Attention(ATTENTIONS[name], OPTIONS[case])
    arrays = arrays if name != "simple" else [arrays[0]] * 3 + [arrays[0]]
    torch.compiler.reset()
    results = []
    for function in (torch.compile(module, backend="aot_eager", fullgraph=True), module):
        leaves = [x.clone().requires_grad_() for x in arrays[:3]]
        out = function(*leaves)
        results.append([x.detach().numpy() for x in (out, *torch.autograd.grad(out, leaves, arrays[3]))])
    assert_all_equal64(*results)
    if case in ("mask", "bias", "all"):
        assert not results[0][0][:, :, 1].any()
        assert not results[0][1][:, :, 1].any()


@PROOF
def test_flash_attention_compiled_in_one_piece():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == list(OPTIONS), done.stderr


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("name", "case"), TRACED)
def test_exported(rng, name, case):
    arrays, module = draw(rng)[:3], Attention(ATTENTIONS[name], OPTIONS[case])
    arrays = arrays if name != "simple" else arrays[:1] * 3
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(module, tuple(arrays), dynamic_shapes={"qkv": ({0: batch},) * 3}).module()
    more = [torch.cat([x, x.flip(0), x]) for x in arrays]
    assert_equal64(exported(*more).numpy(), module(*more).numpy())


def test_nan_where_pytorch_has_it(rng):
    """Whether numbers are read or not: a row of NaN is one, and a row without a key is none."""
    scores = torch.tensor([[1.0, torch.nan], [-torch.inf, -torch.inf], [torch.inf, 0.0], [1.0, -torch.inf]])
    read, mapped = step02.softmax(scores), vmap(step02.softmax)(scores)
    assert torch.equal(read.isnan(), mapped.isnan())
    assert torch.equal(read.nan_to_num(7), mapped.nan_to_num(7))
    assert read.isnan().all(dim=-1).tolist() == [True, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", BOTH)
def test_bias_of_any_floating_dtype(rng, name, dtype):
    """It is read in the dtype of the scores: one of float64 changes nothing against float32."""
    q, k, v, _ = draw(rng, torch.float32)
    bias = BIAS.to(dtype)
    out, saved = ATTENTIONS[name](q, k, v, bias=bias)
    expected, expected_saved = ATTENTIONS[name](q, k, v, bias=bias.float())
    assert out.dtype == saved.dtype == torch.float32
    assert torch.equal(out, expected)
    assert torch.equal(saved, expected_saved)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("argument", ["mask", "bias"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.int32], ids=str)
@pytest.mark.parametrize("name", BOTH)
def test_integers_for_mask_or_bias(rng, name, dtype, argument):
    q, k, v, _ = draw(rng)
    message = f"{argument} has dtype {str(dtype).removeprefix('torch.')}; expected"
    with pytest.raises(TypeError, match=message):
        ATTENTIONS[name](q, k, v, **{argument: torch.ones(3, 4, dtype=dtype)})


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", BOTH)
def test_autocast(rng, name, dtype):
    """Rounded as PyTorch's own attention rounds, and the backward fits the forward, wherever it is called."""
    *qkv, d_out = draw(rng, torch.float32, size=3.0)
    wide = [x.double().requires_grad_() for x in qkv]
    expected = by_torch(*wide)
    expected = [expected, *torch.autograd.grad(expected, wide, d_out.double())]

    def run(attend, inside):
        leaves = [x.clone().requires_grad_() for x in qkv]
        with torch.autocast("cpu", getattr(torch, dtype)):
            out = attend(*leaves)
            with torch.autocast("cpu", enabled=inside):
                return [out, *torch.autograd.grad(out, leaves, d_out.to(out.dtype))]

    peers = run(lambda *qkv: functional.scaled_dot_product_attention(*qkv, enable_gqa=True), False)
    assert peers[0].dtype == getattr(torch, dtype)
    for inside in (True, False):
        found = run(lambda *qkv: ATTENTIONS[name](*qkv)[0], inside)
        for i, (x, peer, reference) in enumerate(zip(found, peers, expected, strict=True)):
            assert x.dtype == peer.dtype
            numbers = (y.detach().double().numpy() for y in (x, peer, reference))
            assert_earned(*numbers, dtype, 3 if i else 2, str(i))


def test_mixed_dtypes_under_autocast(rng):
    """A cache that was filled in float32 goes on in bfloat16."""
    q, k, v, _ = draw(rng, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        for name in BOTH:
            assert ATTENTIONS[name](q.bfloat16(), k, v)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", BOTH)
def test_views_and_inference(rng, name):
    """Expanded and transposed inputs, inputs by name, and inference mode, give what copies give."""
    q, k, v, _ = draw(rng)
    k, v = k[:1].expand_as(k), v.mT.contiguous().mT
    assert not k.is_contiguous()
    assert not v.is_contiguous()
    expected = ATTENTIONS[name](q, k.contiguous(), v.contiguous())[0]
    with torch.inference_mode():
        found = ATTENTIONS[name](k=k, v=v, q=q)[0]
    assert_equal64(found.numpy(), expected.numpy())


@pytest.mark.parametrize("attend", BOTH)
def test_gradients_of_each_sample_through_a_layer(rng, attend):
    """`functional_call` under `vmap` of `grad`: what differential privacy and ensembles are made of."""
    layer = step02.MultiHeadAttention(8, 2, attend=ATTENTIONS[attend]).double()
    weights = {name: x.detach() for name, x in layer.named_parameters()}
    x = torch.tensor(rng.normal(size=(3, 5, 8)))

    def loss(weights, x):
        return functional_call(layer, weights, x[None], {"causal": True}).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(weights, x)
    for i in range(3):
        layer.zero_grad()
        layer(x[i : i + 1], causal=True).square().sum().backward()
        expected = {name: p.grad.numpy() for name, p in layer.named_parameters()}
        assert_all_equal64({name: d[i].numpy() for name, d in found.items()}, expected)


def test_batches_of_no_samples():
    """An empty batch passes the layers that take rows, and attention refuses it by name."""
    rows = torch.zeros(0, 4, 6)
    for layer in (step02.Linear(6, 3), step02.LayerNorm(6), step02.RMSNorm(6), step02.FeedForward(6, 8)):
        assert layer(rows).shape[:2] == (0, 4)
    with pytest.raises(ValueError, match="q is empty"):
        step02.SelfAttention(6)(rows)
