"""The Transformer: equal in every stage and to PyTorch's, blind to padding and to the future."""

import re

import numpy as np
import pytest
import torch

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.parity.slopes import Evaluation, slopes
from step01_numpy.common.parity.stage import Stage
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

V, D_MODEL, LAYERS = 11, 8, 2
SOURCE = np.array([[3, 9, 4, 4, 10, 6, 2], [5, 3, 7, 2, 0, 0, 0], [8, 2, 0, 0, 0, 0, 0]])
TARGET = np.array([[1, 7, 7, 3, 5], [1, 10, 4, 0, 0], [1, 0, 0, 0, 0]])
VARIANTS = {
    "pre-norm": {},
    "post-norm": {"norm_first": False},
    "learned": {"positions": "learned"},
    "rotary": {"positions": "rotary", "norm_first": False},
    "grouped": {"n_kv_heads": 2, "positions": "rotary"},
    "multi-query": {"n_kv_heads": 1, "positions": "learned", "norm_first": False},
    "Marian": {
        "norm_first": False,
        "positions": "sinusoidal_halves",
        "activation": "silu",
        "head_bias": True,
        "tied": False,
    },
    "dropout": {"dropout": 0.3, "positions": "learned"},
    "dropout, post-norm": {"dropout": 0.3, "norm_first": False},
}


def configuration(**changes):
    sizes = {"vocab_size": V, "d_model": D_MODEL, "n_heads": 4, "d_ff": 12, "n_layers": LAYERS}
    return ModelConfig(**{**sizes, "dropout": 0.0, "max_positions": 16, **changes})


def build(stage, config, seed=0, **options):
    """Build a model in training mode; equal seeds draw equal weights in every stage."""
    return stage.layer("Transformer", config, rng=np.random.default_rng(seed), **options)


def shaken(model, rng):
    """Move all weights away from where they start: norms of one and biases of zero would hide mistakes."""
    state = model.state()
    return model.load(
        {name: state[name] + 0.3 * rng.normal(size=state[name].shape) for name in sorted(state)}
    )


def reseeded(model, seed=7):
    """Let the model's dropout begin anew."""
    model.layer.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return model


def peer(stage, config):
    """Return the model of another stage, with which this one is compared."""
    other = "step01_numpy" if stage.name == "step02_torch" else "step02_torch"
    return build(Stage(other), config)


@pytest.mark.grid
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_and_every_gradient_equal_another_stages(stage, rng, variant):
    config = configuration(**VARIANTS[variant])
    other = shaken(peer(stage, config), rng)
    model = build(stage, config).load(other.state())
    logits = reseeded(model).forward(SOURCE, TARGET)
    assert_equal64(logits, reseeded(other).forward(SOURCE, TARGET), "logits")
    d_logits = rng.normal(size=logits.shape)
    found = reseeded(model).gradients(d_logits, SOURCE, TARGET)
    assert_all_equal64(found, reseeded(other).gradients(d_logits, SOURCE, TARGET), "gradient of")
    assert set(found) == set(model.state())


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["multi-query", "grouped", "dropout"])
def test_gradients_equal_central_differences(rng, variant):
    model = shaken(build(Stage("step01_numpy"), configuration(**VARIANTS[variant], n_layers=1)), rng)
    weights = {name: x.copy() for name, x in model.state().items()}

    def run(weights):
        return reseeded(model.load(weights)).forward(SOURCE, TARGET)

    out = run(weights)
    d_out = rng.normal(size=out.shape)
    gradients = reseeded(model).gradients(d_out, SOURCE, TARGET)
    found, measured = slopes(Evaluation(weights, run, out, d_out, gradients), seed=1)
    for name in weights:
        assert found[name] == pytest.approx(measured[name], abs=1e-6, rel=1e-6), name


class Oracle(torch.nn.Module):
    """PyTorch's encoder and decoder layers between our embedding, positions and shared projection."""

    def __init__(self, config, state, dtype=torch.float64):
        super().__init__()
        sizes = (config.d_model, config.n_heads, config.d_ff)
        options = {"dropout": 0.0, "batch_first": True, "norm_first": config.norm_first}
        encoder = torch.nn.TransformerEncoderLayer(*sizes, **options)
        decoder = torch.nn.TransformerDecoderLayer(*sizes, **options)
        norms = [torch.nn.LayerNorm(config.d_model) if config.norm_first else None for _ in range(2)]
        n = config.n_layers
        self.encoder = torch.nn.TransformerEncoder(encoder, n, norms[0], enable_nested_tensor=False)
        self.decoder = torch.nn.TransformerDecoder(decoder, n, norms[1])
        self.embedding = torch.nn.Embedding(config.vocab_size, config.d_model)
        self.to(dtype)
        self.tables = [state.get(f"{name}.input.learned.weight") for name in ("encoder", "decoder")]
        self.tables = [sinusoids(16) if x is None else x for x in self.tables]
        self.tables = [torch.tensor(x).to(dtype).requires_grad_() for x in self.tables]
        self.state = state
        with torch.no_grad():
            for name, weight in state.items():
                self.find(name).copy_(torch.tensor(weight))

    def find(self, name, gradient=False):
        """Return the weight, or the gradient, that has this name in our models; q, k, v lie in one matrix."""
        if name.endswith("learned.weight"):
            weight, part = self.tables[name.startswith("decoder")], None
        else:
            part = re.search(r"w_([qkv])", name)
            weight = self.get_parameter(torchs_name(name))
        weight = weight.grad if gradient else weight
        return weight if part is None else weight.chunk(3)["qkv".index(part[1])]

    def forward(self, source, target):
        rows = [self.embedding(x) * D_MODEL**0.5 for x in (source, target)]
        source_rows, target_rows = (
            x + table[: x.shape[1]] for x, table in zip(rows, self.tables, strict=True)
        )
        padding, length = source == 0, target.shape[1]
        memory = self.encoder(source_rows, src_key_padding_mask=padding)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        hidden = self.decoder(target_rows, memory, tgt_mask=future, memory_key_padding_mask=padding)
        return hidden @ self.embedding.weight.T

    def gradients(self, d_logits, source, target):
        logits = self(torch.tensor(source), torch.tensor(target))
        logits.backward(torch.tensor(d_logits).to(logits.dtype))
        found = {name: self.find(name, gradient=True).numpy() for name in self.state}
        return logits.detach().numpy(), found


def torchs_name(name):
    """Return the name that PyTorch's modules give to a weight of ours."""
    last = "norm2" if name.startswith("encoder") else "norm3"
    for ours, theirs in {
        "blocks": "layers",
        "self_attention_residual.norm": "norm1",
        "cross_attention_residual.norm": "norm2",
        "feed_forward_residual.norm": last,
        "self_attention": "self_attn",
        "cross_attention": "multihead_attn",
        "feed_forward.w_1": "linear1",
        "feed_forward.w_2": "linear2",
        "w_o": "out_proj",
    }.items():
        name = name.replace(ours, theirs)
    return re.sub(r"w_[qkv]\.", "in_proj_", name)


def sinusoids(n):
    """The positions of the paper, entry by entry."""
    angles = [[p / 10000 ** (2 * (i // 2) / D_MODEL) for i in range(D_MODEL)] for p in range(n)]
    return np.array([[np.cos(x) if i % 2 else np.sin(x) for i, x in enumerate(row)] for row in angles])


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_logits_and_every_gradient_equal_pytorchs_transformer(stage, rng, norm_first, positions):
    config = configuration(norm_first=norm_first, positions=positions)
    model = shaken(build(stage, config), rng)
    d_logits = rng.normal(size=(*TARGET.shape, V))
    expected, gradients = Oracle(config, model.state()).gradients(d_logits, SOURCE, TARGET)
    assert_equal64(model.forward(SOURCE, TARGET), expected, "logits")
    assert_all_equal64(model.gradients(d_logits, SOURCE, TARGET), gradients, "gradient of")


def test_float32(stage, rng):
    config = configuration(norm_first=False)
    model = build(stage, config, dtype="float32")
    d_logits = rng.normal(size=(*TARGET.shape, V)).astype(np.float32)
    peer_logits, peers = Oracle(config, model.state(), torch.float32).gradients(d_logits, SOURCE, TARGET)
    expected, references = Oracle(config, model.state()).gradients(d_logits, SOURCE, TARGET)
    logits, found = model.forward(SOURCE, TARGET), model.gradients(d_logits, SOURCE, TARGET)
    assert {x.dtype.name for x in (logits, *found.values())} == {"float32"}
    assert_earned(logits, peer_logits, expected, "float32", 2, "logits")
    for name in found:
        if not name.endswith("w_k.bias"):  # moves all scores of a row together: 0 but for rounding
            assert_earned(found[name], peers[name], references[name], "float32", 3, name)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_stays_float32(stage, rng, variant):
    model = build(stage, configuration(**VARIANTS[variant]), dtype="float32")
    d_logits = rng.normal(size=(*TARGET.shape, V)).astype(np.float32)
    found = model.gradients(d_logits, SOURCE, TARGET)
    assert {x.dtype.name for x in (model.forward(SOURCE, TARGET), *found.values())} == {"float32"}


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_block_equals_pytorchs(stage, rng, kind, norm_first):
    """One block alone: the gradients of what it reads, the memory's too."""
    config = configuration(norm_first=norm_first, n_layers=1)
    whole = shaken(build(stage, config), rng)
    oracle = getattr(Oracle(config, whole.state()), kind).layers[0]
    prefix = f"{kind}.blocks.0."
    state = {name.removeprefix(prefix): x for name, x in whole.state().items() if name.startswith(prefix)}
    options = {"causal": kind == "decoder", "cross": kind == "decoder"}
    block = stage.layer("Block", config, **options).load(state)
    rows, memory = rng.normal(size=(3, 5, D_MODEL)), rng.normal(size=(3, 7, D_MODEL))
    padding, d_out = SOURCE == 0, rng.normal(size=(3, 5, D_MODEL))
    if kind == "encoder":
        padding = padding[:, :5]
        inputs, options = [rows], {"src_key_padding_mask": torch.tensor(padding)}
    else:
        future = torch.ones(5, 5, dtype=torch.bool).triu(1)
        inputs, options = (
            [rows, memory],
            {"tgt_mask": future, "memory_key_padding_mask": torch.tensor(padding)},
        )
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = oracle(*leaves, **options)
    expected.backward(torch.tensor(d_out))
    mask = ~padding[:, None, None, :]
    masks = {"mask" if kind == "encoder" else "memory_mask": mask}
    assert_equal64(block.forward(*inputs, **masks), expected.detach().numpy())
    found = block.gradients(d_out, *inputs, **masks)
    assert_all_equal64([found[str(i)] for i in range(len(inputs))], [x.grad.numpy() for x in leaves])


def real_rows(logits, target=TARGET):
    return logits[target != 0]


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
def test_more_padding_changes_nothing(stage, rng, variant):
    model = shaken(build(stage, configuration(**VARIANTS[variant])), rng)
    model.layer.eval()
    expected = model.forward(SOURCE, TARGET)
    longer = [np.pad(x, ((0, 0), (0, n))) for x, n in ((SOURCE, 4), (TARGET, 3))]
    assert_equal64(model.forward(longer[0], TARGET), expected)
    assert_equal64(model.forward(SOURCE, longer[1])[:, : TARGET.shape[1]], expected)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_sentence_alone_equals_itself_in_a_batch(stage, rng, norm_first):
    model = shaken(build(stage, configuration(norm_first=norm_first)), rng)
    expected = model.forward(SOURCE, TARGET)
    for row, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        alone = model.forward(source[None, source != 0], target[None, target != 0])
        assert_equal64(alone[0], expected[row, : alone.shape[1]])


def test_what_padding_is_embedded_as_changes_nothing(stage, rng):
    model = shaken(build(stage, configuration()), rng)
    expected, state = model.forward(SOURCE, TARGET), dict(model.state())
    state["embedding.weight"] = state["embedding.weight"].copy()
    state["embedding.weight"][0] = 100 * rng.normal(size=D_MODEL)
    found = model.load(state).forward(SOURCE, TARGET)
    assert_equal64(real_rows(found)[:, 1:], real_rows(expected)[:, 1:])  # 0 is also the name of a logit


def test_padding_gets_no_gradient(stage, rng):
    model = shaken(build(stage, configuration(norm_first=False)), rng)
    d_logits = np.where(TARGET[:, :, None] != 0, rng.normal(size=(*TARGET.shape, V)), 0)
    d_logits[:, :, 0] = 0
    gradient = model.gradients(d_logits, SOURCE, TARGET)["embedding.weight"]
    assert (gradient[0] == 0).all()
    assert gradient[1:].any(axis=1).all()


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("position", [1, 3])
def test_the_future_changes_nothing(stage, rng, variant, position):
    model = shaken(build(stage, configuration(**VARIANTS[variant])), rng)
    model.layer.eval()
    changed = TARGET.copy()
    changed[:, position] = 6
    expected, found = model.forward(SOURCE, TARGET), model.forward(SOURCE, changed)
    assert abs(found - expected)[:, :position].max() <= 1e-12
    assert (abs(found - expected)[:, position:].max(axis=-1) > 1e-3).all()


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_the_order_of_the_source_counts(stage, rng, positions):
    model = shaken(build(stage, configuration(positions=positions)), rng)
    found = model.forward(SOURCE[:1], TARGET[:1]) - model.forward(SOURCE[:1, ::-1].copy(), TARGET[:1])
    assert abs(found).max() > 1e-3


def test_dropout_is_on_in_training_alone(stage):
    model = build(stage, configuration(dropout=0.3))
    out = [model.forward(SOURCE, TARGET) for _ in range(2)]
    assert abs(out[0] - out[1]).max() > 0.1
    model.layer.eval()
    off = [model.forward(SOURCE, TARGET) for _ in range(2)]
    assert (off[0] == off[1]).all()
    without = build(stage, configuration()).load(model.state())
    assert_equal64(off[0], without.forward(SOURCE, TARGET))
    model.layer.train()
    assert abs(model.forward(SOURCE, TARGET) - off[0]).max() > 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_seeds_draw_equal_weights_and_leave_equal_generators(stage, variant):
    config = configuration(**VARIANTS[variant])
    model, reference = build(stage, config), build(Stage("step01_numpy"), config)
    found, expected = model.state(), reference.state()
    assert list(found) == list(expected)
    assert all((x == expected[name]).all() for name, x in found.items())
    assert model.layer.rng.bit_generator.state == reference.layer.rng.bit_generator.state


def test_names_of_the_weights(stage):
    """Of every stage, whatever the checkpoint came from."""
    names = set(build(stage, configuration(positions="learned")).state())
    attention = {f"w_{x}.{kind}" for x in "qkvo" for kind in ("weight", "bias")}
    expected = {"embedding.weight"}
    for stack, kinds in (("encoder", ["self"]), ("decoder", ["self", "cross"])):
        expected |= {f"{stack}.norm.{kind}" for kind in ("weight", "bias")} | {
            f"{stack}.input.learned.weight"
        }
        for block in (f"{stack}.blocks.{i}" for i in range(LAYERS)):
            expected |= {f"{block}.{kind}_attention.{name}" for kind in kinds for name in attention}
            parts = [*(f"{kind}_attention_residual.norm" for kind in kinds), "feed_forward_residual.norm"]
            parts += ["feed_forward.w_1", "feed_forward.w_2"]
            expected |= {f"{block}.{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    assert names == expected


def test_every_attention_is_the_one_handed_in(stage):
    maps = []
    attend = stage.package.record(stage.package.STANDARD, maps)
    build(stage, configuration(), attend=attend).forward(SOURCE, TARGET)
    source, target = SOURCE.shape[1], TARGET.shape[1]
    lengths = [(source, source)] * LAYERS + [(target, target), (target, source)] * LAYERS
    assert [x.shape for x in maps] == [(3, 4, *pair) for pair in lengths]


@pytest.mark.grid
@pytest.mark.parametrize("variant", ["post-norm", "grouped"])
def test_flash_attention_gives_the_same(stage, rng, variant):
    config = configuration(**VARIANTS[variant])
    model = shaken(build(stage, config), rng)
    flash = build(stage, config, attend=stage.package.FLASH).load(model.state())
    assert_equal64(flash.forward(SOURCE, TARGET), model.forward(SOURCE, TARGET))
    d_logits = rng.normal(size=(*TARGET.shape, V))
    found = flash.gradients(d_logits, SOURCE, TARGET)
    assert_all_equal64(found, model.gradients(d_logits, SOURCE, TARGET))


def test_gradients_add_up_over_two_batches(stage, rng):
    """The embedding collects from the source, the target and the logits, of every batch."""
    model = build(stage, configuration())
    batches = [(rng.normal(size=(1, 5, V)), SOURCE[i : i + 1], TARGET[i : i + 1]) for i in range(2)]
    d_logits = np.concatenate([d for d, _, _ in batches])
    together = model.gradients(d_logits, SOURCE[:2], TARGET[:2])
    apart = [model.gradients(*batch) for batch in batches]
    assert_all_equal64({name: apart[0][name] + apart[1][name] for name in together}, together)
