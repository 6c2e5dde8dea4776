"""BERT, GPT-2, Llama, Mistral in one class: equal in every stage, blind to padding, true to their caches."""

import numpy as np
import pytest

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.parity.cases import BERT, GPT_2, LLAMA
from step01_numpy.common.parity.slopes import Evaluation, slopes
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.training.configuration import TrainingConfig
from tests.device_array import ATTENTIONS, DeviceArray
from tests.models.test_transformer import reseeded, shaken
from tests.tolerances import assert_all_equal64, assert_equal64

V, LAYERS = 11, 2
TOKENS = np.array([[3, 9, 4, 4, 10, 6, 2], [5, 3, 7, 2, 8, 1, 9], [8, 2, 6, 7, 7, 1, 5]])
LEFT = np.arange(7) >= np.array([[0], [2], [4]])  # padding before the text, as prompts have it
RIGHT = LEFT[:, ::-1]
VARIANTS = {
    "BERT": BERT,
    "BERT without head": {**BERT, "head": "none", "head_bias": False},
    "GPT-2": GPT_2,
    "Llama": LLAMA,
    "Llama 2": {**LLAMA, "rotary_scaling": None, "n_kv_heads": None, "rotary_base": 10000.0},
    "Mistral": {**LLAMA, "window": 3},
    "Qwen": {**LLAMA, "head_norm": True, "qkv_bias": True, "d_head": 6},
    "Gemma 2": {
        **{**LLAMA, "norm_after": True, "scale_embedding": True, "tied": True},
        **{"attention_scale": 0.4, "attention_softcap": 2.0, "logit_softcap": 3.0},
        **{"window": 3, "full_layers": (1,), "d_head": 4},
    },
    "Gemma 3": {
        **{**LLAMA, "norm_after": True, "head_norm": True, "rotary_base_windowed": 20.0},
        **{"window": 3, "full_layers": (0,)},
    },
    "dropout": {**GPT_2, "dropout": 0.3},
    "BERT, dropout": {**BERT, "dropout": 0.3},
}
ONE_BLOCK = {"n_layers": 1, "full_layers": ()}
DECODERS = ["GPT-2", "Llama", "Llama 2", "Mistral", "Gemma 2"]


def configuration(variant, **changes):
    sizes = {"vocab_size": V, "d_model": 8, "n_heads": 4, "d_ff": 12, "n_layers": LAYERS, "max_positions": 16}
    fields = {**sizes, "dropout": 0.0, **VARIANTS[variant], **changes}
    if fields.get("n_kv_heads") is not None:
        fields["n_kv_heads"] = 2
    return ModelConfig(**fields)


def build(stage, config, seed=0, **options):
    return stage.layer("LanguageModel", config, rng=np.random.default_rng(seed), **options)


def trained(stage, rng, variant, **options):
    """Build a model with weights far from where they start, done with training."""
    model = shaken(build(stage, configuration(variant), **options), rng)
    model.layer.eval()
    return model


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("mask", [None, LEFT, RIGHT], ids=["full", "left", "right"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_and_every_gradient_equal_another_stages(stage, rng, variant, mask):
    config = configuration(variant)
    other = build(Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch"), config)
    other = shaken(other, rng)
    model = build(stage, config).load(other.state())
    segments = rng.integers(0, 2, TOKENS.shape) if config.n_segments else None
    out = reseeded(model).forward(TOKENS, mask, segments)
    assert_equal64(out, reseeded(other).forward(TOKENS, mask, segments), "logits")
    d_out = rng.normal(size=out.shape)
    found = reseeded(model).gradients(d_out, TOKENS, mask, segments)
    assert_all_equal64(found, reseeded(other).gradients(d_out, TOKENS, mask, segments), "gradient of")
    assert set(found) == set(model.state())


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["BERT", "GPT-2", "Llama", "Mistral", "Gemma 2", "Gemma 3"])
def test_gradients_equal_central_differences(rng, variant):
    model = shaken(build(Stage("step01_numpy"), configuration(variant, **ONE_BLOCK)), rng)
    weights = {name: x.copy() for name, x in model.state().items()}

    def run(weights):
        return model.load(weights).forward(TOKENS, LEFT)

    out = run(weights)
    d_out = rng.normal(size=out.shape)
    gradients = model.gradients(d_out, TOKENS, LEFT)
    found, measured = slopes(Evaluation(weights, run, out, d_out, gradients), seed=1)
    for name in weights:
        assert found[name] == pytest.approx(measured[name], abs=1e-6, rel=1e-6), name


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["BERT", *DECODERS])
@pytest.mark.parametrize("mask", [LEFT, RIGHT], ids=["left", "right"])
def test_padding_changes_nothing(stage, rng, variant, mask):
    """A text in a padded batch gives what it gives alone, whatever stands in the padding."""
    model = trained(stage, rng, variant)
    together = model.forward(TOKENS, mask)
    for row, real in enumerate(mask):
        alone = model.forward(TOKENS[row : row + 1, real])
        assert_equal64(together[row, real], alone[0], f"row {row}")


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["BERT", *DECODERS])
def test_what_a_token_sees(stage, rng, variant):
    """BERT's tokens see all others, GPT's those before them, Mistral's two more with each block."""
    model = trained(stage, rng, variant)
    changed = TOKENS.copy()
    changed[:, 4] = (changed[:, 4] + 1) % V
    differs = (model.forward(TOKENS) != model.forward(changed)).any(axis=(0, 2))
    seen = {"BERT": [True] * 7}.get(variant, [False] * 4 + [True] * 3)
    assert differs.tolist() == seen
    changed = TOKENS.copy()
    changed[:, 0] = (changed[:, 0] + 1) % V
    differs = (model.forward(TOKENS) != model.forward(changed)).any(axis=(0, 2))
    assert differs.tolist() == [True] * 5 + [variant != "Mistral"] * 2  # 2 blocks · (window 3 - 1) = 4 back


class Decoding:
    """A text in progress, with the stage's cache."""

    def __init__(self, model, tokens, mask=None):
        self.stage, self.model = model.stage, model.layer
        inputs = (tokens,) if mask is None else (tokens, mask)
        self.cache = self.stage.get("start")(self.model, *self.stage.array(inputs))

    def step(self, tokens):
        return self.stage.numpy(self.stage.get("step")(self.model, self.stage.array(tokens), self.cache))


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("attend", ["STANDARD", "FLASH"])
@pytest.mark.parametrize("prompt", [0, 1, 4, 6])
@pytest.mark.parametrize("variant", DECODERS)
def test_every_step_gives_the_full_forwards_logits(stage, rng, variant, prompt, attend):
    """Prompts shorter and longer than the window, padded on the left."""
    model = trained(stage, rng, variant, attend=getattr(stage.package, attend))
    for mask in [None, LEFT] if prompt >= 4 else [None]:  # what is fed step by step is no padding
        expected = model.forward(TOKENS, mask)
        decoding = Decoding(model, TOKENS[:, :prompt], None if mask is None else mask[:, :prompt])
        for position in range(prompt, 7):
            logits = decoding.step(TOKENS[:, position])
            assert_equal64(logits, expected[:, position], f"position {position}")
            assert decoding.cache.length == position + 1


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["Mistral", "Gemma 2"])
def test_a_window_keeps_no_more_than_it_sees(stage, rng, variant):
    """Two keys, and in Gemma's last block, which has no window, all of them."""
    model = trained(stage, rng, variant)
    decoding = Decoding(model, TOKENS[:, :5])
    for position in (5, 6):
        kept = [own.keys.shape[-2] for own, _ in decoding.cache.blocks]
        assert kept == [2, 2 if variant == "Mistral" else position]
        decoding.step(TOKENS[:, position])


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", DECODERS)
def test_reordered_rows_continue_the_others(stage, rng, variant):
    model, rows = trained(stage, rng, variant), np.array([1, 1, 0])
    tokens, mask = (np.concatenate([x[rows, :4], x[:, 4:]], axis=1) for x in (TOKENS, LEFT))
    expected = model.forward(tokens, mask)
    decoding = Decoding(model, TOKENS[:, :4], LEFT[:, :4])
    decoding.cache.reorder(stage.array(rows))
    for position in (4, 5, 6):
        assert_equal64(decoding.step(TOKENS[:, position]), expected[:, position], f"position {position}")


@pytest.mark.usefixtures("unchecked")  # for speed
def test_the_loss_is_that_of_the_logits(stage, rng):
    """Of capped ones too."""
    model = trained(stage, rng, "Gemma 2")
    expected = stage.call("cross_entropy", model.forward(TOKENS, LEFT)[LEFT], TOKENS[LEFT], smoothing=0.1)
    batch = TOKENS, LEFT, TOKENS * LEFT
    loss, _ = stage.get("loss_and_gradients")(model.layer, batch, smoothing=0.1)
    assert_equal64(np.asarray(loss), expected)


def test_a_model_without_a_head_has_no_logits(stage, rng):
    model = trained(stage, rng, "BERT without head")
    assert model.forward(TOKENS).shape == (3, 7, 8)
    with pytest.raises(ValueError, match="no head"):
        model.layer.projection()


@pytest.mark.ours  # the messages are our words
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("tokens", "mask", "message"),
    [
        (TOKENS[0], None, r"tokens has shape \(7,\); expected 2 axes"),
        (TOKENS, LEFT[:, :5], r"mask has shape \(3, 5\); expected \(3, 7\)"),
        (TOKENS + 5, None, "tokens holds token 15"),
        (np.tile(TOKENS, 3), None, "sequence length is 21; max_positions is 16"),
    ],
)
def test_bad_input(stage, rng, tokens, mask, message):
    with pytest.raises(ValueError, match=message):
        trained(stage, rng, "GPT-2").forward(tokens, mask)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("architecture", "rnn", "architecture is 'rnn'; expected one of encoder_decoder, encoder, decoder"),
        ("norm", "batch", "norm is 'batch'"),
        ("activation", "elu", "activation is 'elu'"),
        ("head", "two", "head is 'two'"),
        ("d_head", 0, "d_head is 0; expected an integer of at least 1"),
        ("window", 0, "window is 0"),
        ("qkv_bias", 0, "qkv_bias is 0; expected true or false"),
        ("head_norm", 1, "head_norm is 1; expected true or false"),
        ("attention_scale", -1.0, "attention_scale is -1.0; expected a number above 0"),
        ("attention_softcap", 0.0, "attention_softcap is 0.0"),
        ("logit_softcap", "3", "logit_softcap is '3'"),
        ("rotary_base_windowed", 0, "rotary_base_windowed is 0; expected a number above 0"),
        ("full_layers", (3,), r"full_layers is \(3,\); expected numbers of blocks, 0 to 2, ascending"),
        ("full_layers", (1, 0), "ascending"),
        ("full_layers", (1, 1), "ascending"),
        ("full_layers", 1, "full_layers is 1; expected numbers of blocks"),
        ("full_layers", (0,), "expected a window, which the other blocks have"),
        ("rotary_scaling", (1.0, 2.0), r"rotary_scaling is \(1.0, 2.0\)"),
        ("rotary_scaling", (10**400, 1, 4, 8), r"rotary_scaling is \(1000"),
        ("norm_eps", 0.0, "norm_eps is 0.0"),
        ("rotary_base", -1.0, "rotary_base is -1.0"),
        ("n_segments", -1, "n_segments is -1"),
        ("pad", 1.5, "pad is 1.5"),
        ("pad", V, "pad is 11; expected a token, 0 to 10"),
        ("rotary_scaling", (8.0, 4.0, 4.0, 100), "low below high"),
        ("n_segments", 2, "n_segments is 2; expected 0 for an encoder-decoder"),
        ("head", "none", "head is 'none'; expected one that makes logits"),
        ("gated", 1, "gated is 1; expected true or false"),
        ("tied", None, "tied is None"),
    ],
)
def test_bad_configurations(field, value, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{"vocab_size": V, field: value})


@pytest.mark.grid
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.usefixtures("cupy_double")
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_step01s_models_run_on_arrays_that_are_not_numpys(rng, variant, attention):
    """Forward, backward, an update and decoding of padded texts: no step goes over the host."""
    import step01_numpy as stage

    config = configuration(variant)
    attentions = stage.STANDARD, ATTENTIONS[attention]
    models = [
        stage.LanguageModel(config, attend=x, rng=np.random.default_rng(0)).double() for x in attentions
    ]
    models[1].convert(DeviceArray)
    inputs = (TOKENS, LEFT), (DeviceArray(TOKENS), DeviceArray(LEFT))
    expected, found = (model(*x) for model, x in zip(models, inputs, strict=True))
    assert_equal64(found.host, expected)
    d_out = rng.normal(size=expected.shape)
    models[0].backward(d_out)
    models[1].backward(DeviceArray(d_out))
    for ours, device in zip(*(model.parameters() for model in models), strict=True):
        assert_equal64(device.grad.host, ours.grad)
    for model in models if models[0].head is not None else ():
        adamw = stage.AdamW(model.named_parameters())
        stage.training_step(model, (TOKENS, LEFT, TOKENS), adamw, TrainingConfig(warmup=2), step=1)
    for ours, device in zip(*(model.named_parameters() for model in models), strict=True):
        if not ours[0].endswith("w_k.bias"):  # its gradient is rounding, which AdamW would enlarge
            assert_equal64(device[1].data.host, ours[1].data, ours[0])
    if variant in DECODERS:
        models = [stage.prepare(model) for model in models]
        caches = [stage.start(model, *x) for model, x in zip(models, inputs, strict=True)]
        rows = np.array([2, 0, 0])
        for cache, order in zip(caches, (rows, DeviceArray(rows)), strict=True):
            cache.reorder(order)
        for tokens in TOKENS.T[:3]:
            logits = stage.step(models[0], tokens, caches[0])
            assert_equal64(stage.step(models[1], DeviceArray(tokens), caches[1]).host, logits)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6,), (2, 3, 4)])
def test_a_matrix_lies_along_its_longer_side(stage, rng, shape):
    """Whatever way it lay before; and one that lay so already is not copied."""
    function, x = stage.get("lay_out"), stage.array(rng.normal(size=shape))
    for given in (x, stage.array(np.asfortranarray(stage.numpy(x)))):
        found = function(given)
        assert (stage.numpy(found) == stage.numpy(x)).all()
        again = function(found)
        assert np.shares_memory(stage.numpy(again), stage.numpy(found))
        if len(shape) == 2:
            strides = stage.numpy(found).strides
            assert strides[0 if shape[0] > shape[1] else 1] == 8


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", [*DECODERS, "Gemma 3"])
def test_a_prepared_model_says_the_same(stage, rng, variant):
    model = trained(stage, rng, variant)
    expected = model.forward(TOKENS)
    assert stage.get("prepare")(model.layer) is model.layer
    fused = ["qkv" in vars(x) for x in model.layer.modules() if hasattr(x, "qkv")]
    assert fused
    assert all(fused)
    decoding = Decoding(model, TOKENS[:, :0])
    for position, tokens in enumerate(TOKENS.T):
        assert_equal64(decoding.step(tokens), expected[:, position], f"position {position}")
