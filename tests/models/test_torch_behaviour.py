"""What users of PyTorch expect of step02's layers and models: dtypes, tracing, transforms, saving."""

import io
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional

import step02_torch as step02
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.training.configuration import TrainingConfig
from tests.models.test_language_model import configuration as language_configuration
from tests.models.test_transformer import SOURCE, TARGET, configuration
from tests.tolerances import EPS, assert_all_equal64, assert_earned, assert_equal64

ROOT = Path(__file__).parent.parent.parent
MODELS = {
    "Transformer": lambda rng: step02.Transformer(configuration(), rng=rng),
    "BERT": lambda rng: step02.LanguageModel(language_configuration("BERT"), rng=rng),
    "GPT-2": lambda rng: step02.LanguageModel(language_configuration("GPT-2"), rng=rng),
    "Llama, flash": lambda rng: step02.LanguageModel(
        language_configuration("Llama"), rng=rng, attend=step02.FLASH
    ),
    "recurrent": lambda rng: step02.RecurrentTranslator(
        RecurrentConfig(11, d_model=6, d_hidden=8, dropout=0.0, score="general", window=2), rng=rng
    ),
}
TOKENS = torch.tensor([[3, 9, 4, 4, 10, 6], [5, 3, 7, 2, 8, 1], [8, 2, 6, 7, 7, 5]])
MASK = torch.arange(6) >= torch.tensor([[0], [2], [4]])
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float64", "float32", "bfloat16", "float16"]


def build(name, seed=0):
    """Return a model with weights of some size, done with training, and its inputs."""
    model = MODELS[name](np.random.default_rng(seed)).eval()
    translator = name in ("Transformer", "recurrent")
    return model, tuple(map(torch.tensor, (SOURCE, TARGET))) if translator else (TOKENS, MASK)


def numbers(tensors):
    return {name: x.detach().double().numpy() for name, x in tensors.items()}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [False, True])
def test_a_gradient_penalty_on_the_loss_equals_torchs(rng, biased, smoothing):
    shapes = [(300, 4), (7, 4), (7,)][: 3 if biased else 2]
    arrays = [torch.tensor(rng.normal(size=shape)) for shape in shapes]
    targets = torch.tensor(rng.integers(0, 7, 300))

    def penalised(loss):
        leaves = [x.clone().requires_grad_() for x in arrays]
        value = 3 * loss(*leaves)
        first = torch.autograd.grad(value, leaves, create_graph=True)
        total = value + sum(x.square().sum() for x in first)
        return [x.numpy() for x in torch.autograd.grad(total, leaves)]

    def ours(hidden, weight, bias=None):
        return step02.linear_cross_entropy(hidden, weight, targets, bias=bias, smoothing=smoothing)

    def torchs(*args):
        return functional.cross_entropy(functional.linear(*args), targets, label_smoothing=smoothing)

    assert_all_equal64(penalised(ours), penalised(torchs))
    of_functions = [grad(loss, argnums=1)(*arrays).numpy() for loss in (ours, torchs)]
    assert_equal64(*of_functions)


def test_frozen_weights_get_no_gradient(rng):
    hidden, weight = (torch.tensor(rng.normal(size=(5, 4))) for _ in range(2))
    targets = torch.tensor([0, 3, 1, 1, 4])
    for leaf in (hidden, weight):
        loss = step02.linear_cross_entropy(hidden, weight, targets)
        assert not loss.requires_grad
        leaf.requires_grad_()
        step02.linear_cross_entropy(hidden, weight, targets).backward()
        expected = torch.autograd.grad(functional.cross_entropy(hidden @ weight.T, targets), leaf)[0]
        assert_equal64(leaf.grad.numpy(), expected.numpy())
        leaf.requires_grad_(False)


def batch(name):
    model, inputs = build(name)
    targets = (torch.tensor(TARGET) if name in ("Transformer", "recurrent") else TOKENS).roll(-1, dims=1)
    return model, inputs, targets


def by_torch(model, inputs, targets, context):
    """Return loss and gradients as PyTorch's own loss on the model's logits has them."""
    model.zero_grad()
    with context:
        logits = model(*inputs).flatten(0, 1)
        loss = functional.cross_entropy(logits, targets.flatten(), ignore_index=0, label_smoothing=0.1)
    loss.backward()
    return {"loss": loss, **{name: p.grad for name, p in model.named_parameters()}}


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.grid
@pytest.mark.parametrize("kind", ["autocast", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_training_in_bfloat16(name, kind):
    """Under autocast, and with weights of 16 bits: as near to float64 as PyTorch's own loss comes."""
    model, inputs, targets = batch(name)
    model = model if kind == "autocast" else model.bfloat16()
    arrays = tuple(x.numpy() for x in (*inputs, targets))
    context = torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast")
    with context:
        loss, n = step02.loss_and_gradients(model, arrays, smoothing=0.1)
    assert n == (targets != 0).sum()
    found = {"loss": torch.tensor(loss), **{name: p.grad for name, p in model.named_parameters()}}
    assert {p.grad.dtype for p in model.parameters()} == {p.dtype for p in model.parameters()}
    found, peer = numbers(found), numbers(by_torch(model, inputs, targets, context))
    expected = by_torch(deepcopy(model).double(), inputs, targets, torch.autocast("cpu", enabled=False))
    expected = numbers(expected)
    size = max(np.abs(expected[x]).max() for x in expected if x != "loss")
    for x in expected:  # a gradient that is 0 but for rounding is compared with the largest
        if np.abs(expected[x]).max() > EPS["bfloat16"] * size:
            assert_earned(found[x], peer[x], expected[x], "bfloat16", 3, x)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.grid
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MODELS)
def test_default_dtype(name, dtype):
    """All weights of a model have PyTorch's default dtype, drawn by whomever, and it trains in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        model, inputs, targets = batch(name)
        drawn = step02.Linear(3, 2).weight.dtype
        if dtype in ("float64", "float32"):
            optimizer = step02.AdamW(model.named_parameters())
            arrays = tuple(x.numpy() for x in (*inputs, targets))
            step02.training_step(model, arrays, optimizer, TrainingConfig(), step=1)
        out = model(*inputs)
    finally:
        torch.set_default_dtype(before)
    assert {x.dtype for x in (*model.parameters(), out)} == {getattr(torch, dtype)} == {drawn}


@pytest.mark.parametrize("name", MODELS)
def test_shapes_alone_on_meta(name):
    """A model is built and run without numbers, and takes those of a file in their place."""
    model, inputs = build(name)
    with torch.device("meta"):
        empty, _ = build(name)
    assert all(x.is_meta for x in empty.parameters())
    assert empty(*(x.to("meta") for x in inputs)).shape == model(*inputs).shape
    empty.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(empty(*inputs), model(*inputs))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.grid
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", MODELS)
def test_tokens_of_any_integer_dtype(name, dtype):
    model, inputs, targets = batch(name)
    kind = getattr(torch, dtype)
    given = [x if x.dtype == torch.bool else x.to(kind) for x in inputs]
    assert torch.equal(model(*given), model(*inputs))
    cache, expected = step02.start(model, given[0]), step02.start(model, inputs[0])
    for _ in range(2):
        logits = step02.step(model, given[0][:, 0], cache)
        assert torch.equal(logits, step02.step(model, inputs[0][:, 0], expected))
        cache.reorder(torch.tensor([1, 0, 1]).to(kind)), expected.reorder(torch.tensor([1, 0, 1]))
    losses = [
        step02.loss_and_gradients(model, tuple(x.numpy() for x in (*i, t)), smoothing=0.1)
        for i, t in ((given, targets.to(kind)), (inputs, targets))
    ]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("dtype", INTEGERS)
def test_lookups_of_any_integer_dtype(dtype):
    tokens, logits = TOKENS[0], torch.arange(66.0).reshape(6, 11)
    given = tokens.to(getattr(torch, dtype))
    embedding, positions = step02.Embedding(11, 4), step02.LearnedPositions(11, 4)
    assert torch.equal(embedding(given), embedding(tokens))
    assert torch.equal(positions(given), positions(tokens))
    assert step02.cross_entropy(logits, given) == step02.cross_entropy(logits, tokens)
    assert torch.equal(step02.padding_mask(given, 12), step02.padding_mask(tokens, 12))
    with pytest.raises(ValueError, match="tokens holds token 11; the vocabulary has 11"):
        embedding((tokens + 1).to(given.dtype))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", [torch.zeros(2), torch.ones(2, dtype=torch.bool), [1, 2], np.zeros(2, int)])
def test_what_are_no_tokens(wrong):
    came = f"is a {type(wrong).__name__}" if not isinstance(wrong, torch.Tensor) else "has dtype"
    with pytest.raises(TypeError, match=f"tokens {came}"):
        step02.Embedding(3, 4)(wrong)
    with pytest.raises(TypeError, match=f"targets {came}"):
        step02.cross_entropy(torch.zeros(2, 3), wrong)
    if isinstance(wrong, torch.Tensor):
        with pytest.raises(TypeError, match="tokens has dtype"):
            vmap(step02.Embedding(3, 4))(wrong)


INSTANTIATED = "ignore:.*should not be instantiated:DeprecationWarning"  # PyTorch's own, while it traces
TRACED = [name for name in MODELS if name not in ("recurrent", "Llama, flash")]  # see ALONE


@pytest.mark.proof
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings(INSTANTIATED)
@pytest.mark.parametrize("name", TRACED)
def test_compiled_in_one_piece(name):
    model, inputs = build(name)
    model = model.double()
    torch.compiler.reset()
    results = []
    for function in (torch.compile(model, backend="aot_eager", fullgraph=True), model):
        model.zero_grad()
        out = function(*inputs)
        out.square().sum().backward()
        gradients = {x: p.grad for x, p in model.named_parameters() if p.grad is not None}
        results.append(numbers({"out": out, **gradients}))
    assert_all_equal64(*results)


EXPORTED = [(name, strict) for name in TRACED for strict in (False, True)]
MARKS = [() if x == ("GPT-2", False) else pytest.mark.proof for x in EXPORTED]  # the others take seconds


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings(INSTANTIATED)
@pytest.mark.parametrize(
    ("name", "strict"), [pytest.param(*x, marks=m) for x, m in zip(EXPORTED, MARKS, strict=True)]
)
def test_exported(name, strict):
    model, inputs = build(name)
    exported = torch.export.export(model, inputs, strict=strict).module()
    given = tuple(x.roll(1, dims=0) for x in inputs)
    torch.testing.assert_close(exported(*given), model(*given))


ALONE = """
import torch
from tests.models.test_torch_behaviour import build

for name, backend in (("recurrent", "eager"), ("Llama, flash", "aot_eager"), ("GPT-2", "inductor")):
    model, inputs = build(name)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(*inputs), model(*inputs))
    exported = torch.export.export(model, inputs, strict=True).module()
    torch.testing.assert_close(exported(*inputs), model(*inputs))
print("equal")
"""


@pytest.mark.proof
def test_without_the_suites_checker():
    """Caches and flash attention, where the checker bars PyTorch's way, and GPT-2 by its own compiler."""
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}  # else both wait
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.usefixtures("unchecked")
def test_a_text_that_is_too_long_is_refused_while_compiled():
    model, _ = build("GPT-2")
    with pytest.raises(Exception, match="sequence length is 17; max_positions is 16"):
        torch.export.export(model, (torch.ones(1, 17, dtype=torch.int64),))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", [x for x in MODELS if "flash" not in x])
def test_gradients_of_each_sample(name):
    model, inputs = build(name)
    model, inputs = model.double(), inputs[: 1 if name in ("BERT", "GPT-2") else 2]
    weights = {x: p.detach() for x, p in model.named_parameters()}

    def loss(weights, *inputs):
        return functional_call(model, weights, tuple(x[None] for x in inputs)).square().sum()

    found = vmap(grad(loss), in_dims=(None, *(0 for _ in inputs)))(weights, *inputs)
    model.zero_grad()
    model(*(x[1:2] for x in inputs)).square().sum().backward()
    expected = {x: torch.zeros_like(p) if p.grad is None else p.grad for x, p in model.named_parameters()}
    assert_all_equal64(numbers({x: d[1] for x, d in found.items()}), numbers(expected))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", MODELS)
def test_copied_saved_and_loaded(name):
    """Copies, pickles and `torch.save` speak the same; `load_state_dict` takes PyTorch's arguments."""
    model, inputs = build(name)
    with torch.inference_mode():
        out = model(*inputs)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other, _ = build(name, seed=1)
    assert not torch.equal(other(*inputs), out)
    assert other.load_state_dict(torch.load(file), strict=True) == ([], [])
    for copy in (other, deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copy(*inputs), out)
    for dtype in FLOATS:
        kind = getattr(torch, dtype)
        assert deepcopy(model).to(kind)(*inputs).dtype == kind


def test_states_that_are_not_whole():
    layer = step02.Linear(3, 2)
    before, weight = layer.bias.clone(), torch.full((2, 3), 5.0)
    found = layer.load_state_dict({"weight": weight, "other": weight}, strict=False)
    assert found == (["bias"], ["other"])
    assert torch.equal(layer.weight, weight)
    assert torch.equal(layer.bias, before)
    with pytest.raises(ValueError, match=r"missing names .*bias.* and unexpected names .*other"):
        layer.load_state_dict({"weight": weight, "other": weight})
    with pytest.raises(ValueError, match=r"weight has shape \(3, 2\)"):
        layer.load_state_dict({"weight": weight.T}, strict=False)


def test_an_exported_dropout_would_be_frozen():
    dropout, x = step02.Dropout(0.5), torch.ones(3, 4)
    with pytest.raises(RuntimeError, match="drop the same entries for ever"):
        torch.export.export(dropout, (x,), strict=False)
    assert torch.equal(torch.export.export(dropout.eval(), (x,)).module()(x), x)
