"""One-head and multi-head attention: the course's numbers, PyTorch's modules, gradients, caches."""

import numpy as np
import pytest
import torch

from tests.tolerances import assert_all_equal64, assert_equal64

ONE_HEAD = ["SelfAttention", "MaskedSelfAttention", "CrossAttention"]


def twin(stage, name, *args, **options):
    """Build a layer of the stage and step02's layer with the same weights."""
    import step02_torch

    torch.manual_seed(1)
    original = getattr(step02_torch, name)(*args, **options).double()
    return stage.layer(name, *args, **options).load(original.state_dict()), original


def torch_gradients(module, d_out, *inputs, **options):
    """Differentiate an independent PyTorch expression with autograd."""
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    module.zero_grad()
    module(*leaves, **options).backward(torch.tensor(d_out))
    gradients = {str(i): x.grad.numpy() for i, x in enumerate(leaves)}
    return gradients | {name: p.grad.numpy() for name, p in module.named_parameters()}


def test_the_courses_example(stage):
    """d_model = 2, seed 42: the numbers of the course's notebooks."""
    import step02_torch

    x = np.array([[1.16, 0.23], [0.57, 1.36], [4.41, -2.16]], np.float32)
    expected = {
        "SelfAttention": [[1.0100, 1.0641], [0.2040, 0.7057], [3.4989, 2.2427]],
        "MaskedSelfAttention": [[0.6038, 0.7434], [-0.0062, 0.6072], [3.4989, 2.2427]],
    }
    for name, numbers in expected.items():
        torch.manual_seed(42)
        state = getattr(step02_torch, name)(2).state_dict()
        out = stage.layer(name, 2, dtype="float32").load(state).forward(x)
        assert out.round(4).tolist() == np.float32(numbers).tolist()


@pytest.mark.parametrize("name", ONE_HEAD)
def test_one_head_is_projection_and_torchs_attention(stage, rng, name):
    layer, original = twin(stage, name, 6, 4, bias=True)
    inputs = [rng.normal(size=(2, 5, 6))]
    if name == "CrossAttention":
        inputs.append(rng.normal(size=(2, 7, 6)))

    class Reference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w_q, self.w_k, self.w_v = original.w_q, original.w_k, original.w_v

        def forward(self, x, context=None):
            context = x if context is None else context
            q, k, v = self.w_q(x), self.w_k(context), self.w_v(context)
            causal = name == "MaskedSelfAttention"
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    reference = Reference()
    d_out = rng.normal(size=(2, 5, 4))
    with torch.no_grad():
        expected = reference(*(torch.tensor(x) for x in inputs)).numpy()
    assert_equal64(layer.forward(*inputs), expected)
    assert_all_equal64(layer.gradients(d_out, *inputs), torch_gradients(reference, d_out, *inputs))


@pytest.mark.parametrize("name", ONE_HEAD)
def test_one_head_takes_a_mask(stage, rng, name):
    layer, _ = twin(stage, name, 6)
    x, context = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))
    inputs = (x, context) if name == "CrossAttention" else (x,)
    mask = np.ones((5, 5), bool)
    mask[:, 3] = False
    out = layer.forward(*inputs, mask=mask)
    inputs[-1][3] = 1e3  # nobody looks there any more, except the row itself as a query
    changed = layer.forward(*inputs, mask=mask)
    assert_equal64(out[[0, 1, 2, 4]], changed[[0, 1, 2, 4]])
    unmasked = layer.forward(*inputs)
    assert abs(unmasked - changed).max() > 0.1


def torch_heads(original, n_heads):
    """Return nn.MultiheadAttention with the same weights."""
    d_model = original.w_q.weight.shape[1]
    module = torch.nn.MultiheadAttention(d_model, n_heads, batch_first=True).double()
    with torch.no_grad():
        for kind in ("weight", "bias"):
            projections = [getattr(getattr(original, f"w_{x}"), kind) for x in "qkv"]
            getattr(module, f"in_proj_{kind}").copy_(torch.cat(projections))
            getattr(module.out_proj, kind).copy_(getattr(original.w_o, kind))
    return module


def test_multi_head_equals_torchs(stage, rng):
    layer, original = twin(stage, "MultiHeadAttention", 12, 3)
    module = torch_heads(original, 3)
    x, context = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 7, 12))
    mask, d_out = rng.random((5, 7)) < 0.6, rng.normal(size=(2, 5, 12))
    mask[:, 0] = True
    leaves = [torch.tensor(x, requires_grad=True), torch.tensor(context, requires_grad=True)]
    expected, _ = module(leaves[0], leaves[1], leaves[1], attn_mask=torch.tensor(~mask))
    expected.backward(torch.tensor(d_out))
    assert_equal64(layer.forward(x, context, mask), expected.detach().numpy())
    found = layer.gradients(d_out, x, context, mask)
    d_w = module.in_proj_weight.grad.chunk(3) + module.in_proj_bias.grad.chunk(3)
    names = [f"w_{x}.{kind}" for kind in ("weight", "bias") for x in "qkv"]
    wanted = dict(zip(names, d_w, strict=True)) | {"0": leaves[0].grad, "1": leaves[1].grad}
    wanted |= {f"w_o.{kind}": getattr(module.out_proj, kind).grad for kind in ("weight", "bias")}
    assert_all_equal64(found, {name: x.numpy() for name, x in wanted.items()})


def test_causal_multi_head_equals_torchs(stage, rng):
    layer, original = twin(stage, "MultiHeadAttention", 12, 4)
    x = rng.normal(size=(2, 5, 12))
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    t = torch.tensor(x)
    expected, _ = torch_heads(original, 4)(t, t, t, attn_mask=hidden)
    assert_equal64(layer.forward(x, causal=True), expected.detach().numpy())


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3])
def test_grouped_queries_equal_repeated_weights(stage, rng, n_kv_heads):
    layer, original = twin(stage, "MultiHeadAttention", 12, 6, n_kv_heads)
    full = stage.layer("MultiHeadAttention", 12, 6)
    state = {name: x.clone() for name, x in original.state_dict().items()}
    for name in ("w_k.weight", "w_k.bias", "w_v.weight", "w_v.bias"):
        per_head = state[name].reshape(n_kv_heads, 2, -1)
        state[name] = per_head.repeat_interleave(6 // n_kv_heads, 0).reshape(12, *state[name].shape[1:])
    x = rng.normal(size=(2, 5, 12))
    assert_equal64(layer.forward(x, causal=True), full.load(state).forward(x, causal=True))


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("window", [None, (2, None)])
def test_cached_decoding_equals_the_full_forward(stage, rng, rotary, window):
    rotary = stage.package.Rotary(4) if rotary else None
    layer = stage.layer("MultiHeadAttention", 12, 3, rotary=rotary)
    x = rng.normal(size=(2, 7, 12))
    expected = layer.forward(x, causal=True, window=window)
    cache = stage.package.KVCache()
    pieces = [x[:, :3], x[:, 3:4], x[:, 4:6], x[:, 6:]]
    out = [layer.forward(piece, causal=True, window=window, cache=cache) for piece in pieces]
    assert_equal64(np.concatenate(out, axis=1), expected)
    assert cache.length == 7


def test_reordered_cache_continues_the_other_row(stage, rng):
    layer = stage.layer("MultiHeadAttention", 12, 3)
    x, rows = rng.normal(size=(3, 4, 12)), np.array([2, 0, 0])
    cache = stage.package.KVCache()
    layer.forward(x[:, :3], causal=True, cache=cache)
    cache.reorder(stage.array(rows))
    shuffled = np.concatenate([x[rows, :3], x[:, 3:]], axis=1)
    out = layer.forward(x[:, 3:], causal=True, cache=cache)
    assert_equal64(out, layer.forward(shuffled, causal=True)[:, 3:])


def test_cross_attention_cache_is_filled_once(stage, rng):
    layer = stage.layer("MultiHeadAttention", 12, 3)
    x, context = rng.normal(size=(2, 4, 12)), rng.normal(size=(2, 7, 12))
    expected = layer.forward(x, context)
    cache = stage.package.KVCache()
    assert_equal64(layer.forward(x[:, :2], context, cache=cache), expected[:, :2])
    assert_equal64(layer.forward(x[:, 2:], context * 9, cache=cache), expected[:, 2:])
    assert cache.length == 7


def test_left_padded_rows_with_positions_equal_the_unpadded(stage, rng):
    layer = stage.layer("MultiHeadAttention", 12, 3, rotary=stage.package.Rotary(4))
    x = rng.normal(size=(1, 5, 12))
    padded = np.concatenate([rng.normal(size=(1, 2, 12)), x], axis=1)
    positions, mask = np.arange(-2, 5)[None], (np.arange(7) >= 2)[None, None, None]
    out = layer.forward(padded, mask=mask, causal=True, positions=positions)
    assert_equal64(out[:, 2:], layer.forward(x, causal=True))


def test_rows_that_change_places_with_their_positions_keep_their_results(stage, rng):
    layer = stage.layer("MultiHeadAttention", 12, 3, rotary=stage.package.Rotary(4))
    x, positions, order = rng.normal(size=(2, 5, 12)), np.array([[0, 3, 4, 9, 7]]), [3, 0, 4, 1, 2]
    out = layer.forward(x, positions=positions)
    assert_equal64(layer.forward(x[:, order], positions=positions[:, order]), out[:, order])


@pytest.mark.parametrize("options", [{}, {"rotary": True}, {"bias": False}, {"d_head": 5}])
def test_gradients_equal_step02s(stage, rng, options):
    import step02_torch

    build = dict(options)
    if build.pop("rotary", False):
        build["rotary"] = stage.package.Rotary(2)
    layer = stage.layer("MultiHeadAttention", 12, 6, 2, **build, rng=np.random.default_rng(3))
    if "rotary" in build:
        build["rotary"] = step02_torch.Rotary(2)
    original = step02_torch.MultiHeadAttention(12, 6, 2, **build, rng=np.random.default_rng(3)).double()
    x, d_out = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 5, 12))
    assert_all_equal64(
        layer.gradients(d_out, x, causal=True), torch_gradients(original, d_out, x, causal=True)
    )


def test_gradients_add_up_until_they_are_forgotten(stage, rng):
    layer = stage.layer("SelfAttention", 6)
    x, d_out = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))
    once = layer.gradients(d_out, x)["w_q.weight"].copy()
    out = layer.layer(stage.array(x))
    backward = getattr(layer.layer, "backward", out.backward if hasattr(out, "backward") else None)
    backward(stage.array(d_out))
    twice = stage.numpy(dict(layer.layer.named_parameters())["w_q.weight"].grad)
    assert_equal64(twice, 2 * once)


def test_names_of_the_weights(stage):
    names = list(stage.layer("MultiHeadAttention", 12, 3).state())
    assert names == [f"w_{x}.{kind}" for x in "qkvo" for kind in ("weight", "bias")]


def test_attention_is_exchangeable(stage, rng):
    maps, x = [], rng.normal(size=(2, 5, 12))
    attend = stage.package.record(stage.package.STANDARD, maps)
    layer = stage.layer("MultiHeadAttention", 12, 3, attend=attend)
    layer.forward(x)
    assert maps[0].shape == (2, 3, 5, 5)
    assert_equal64(maps[0].sum(-1), np.ones((2, 3, 5)))


def test_equal_seeds_draw_equal_weights(stage):
    import step01_numpy

    layer = stage.layer("MultiHeadAttention", 12, 3, rng=np.random.default_rng(5), dtype="float32")
    reference = step01_numpy.MultiHeadAttention(12, 3, rng=np.random.default_rng(5))
    for name, weight in reference.state_dict().items():
        assert (layer.state()[name] == weight).all()
