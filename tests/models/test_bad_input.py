"""A caller's mistake with models, losses and training raises an error that names what is wrong."""

import numpy as np
import pytest

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.training.configuration import TrainingConfig
from tests.models.test_transformer import SOURCE, TARGET, build, configuration

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.ours]  # the messages are our words

LONG = np.ones((3, 17), np.int64)


def changed(tokens, token):
    """Return the tokens with another one among them."""
    tokens = tokens.copy()
    tokens[1, 1] = token
    return tokens


TOKENS = [
    ((changed(SOURCE, 11), TARGET), ValueError, r"tokens holds token 11; the vocabulary has 11 \(0 to 10\)"),
    ((SOURCE, changed(TARGET, 11)), ValueError, "tokens holds token 11; the vocabulary has 11"),
    ((SOURCE, changed(TARGET, -1)), ValueError, "tokens holds token -1; the vocabulary has 11"),
    ((changed(SOURCE, -11), TARGET), ValueError, "tokens holds token -11; the vocabulary has 11"),
    ((SOURCE.astype(float), TARGET), TypeError, "tokens has dtype float64; expected integer token ids"),
    ((SOURCE, TARGET.astype(np.float32)), TypeError, "tokens has dtype float32; expected integer"),
    ((SOURCE, TARGET == 1), TypeError, "tokens has dtype bool; expected integer token ids"),
    ((SOURCE[:, :0], TARGET), ValueError, r"tokens is empty: shape \(3, 0\); expected at least one token"),
    ((SOURCE, TARGET[:, :0]), ValueError, r"tokens is empty: shape \(3, 0\)"),
    ((SOURCE[:0], TARGET[:0]), ValueError, r"tokens is empty: shape \(0, 7\)"),
    ((SOURCE[:2], TARGET), ValueError, r"k has shape \(2, 4, 7, 2\); expected .* \(3, 4, 5, 2\)"),
]


@pytest.mark.parametrize(("inputs", "error", "message"), TOKENS, ids=range(len(TOKENS)))
def test_tokens(stage, inputs, error, message):
    with pytest.raises(error, match=message):
        build(stage, configuration()).forward(*inputs)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("inputs", [(LONG, TARGET), (SOURCE, LONG)], ids=["source", "target"])
def test_sequence_longer_than_the_model_takes(stage, positions, inputs):
    model = build(stage, configuration(positions=positions))
    with pytest.raises(ValueError, match="sequence length is 17; max_positions is 16"):
        model.forward(*inputs)
    model.forward(*(x[:, :16] for x in inputs))


def test_decoding(stage):
    model = build(stage, configuration(max_positions=7))
    start, step = stage.get("start"), stage.get("step")
    cache = start(model.layer, stage.array(SOURCE))
    for tokens, error, message in (
        (np.array([1, 2, 11]), ValueError, "tokens holds token 11"),
        (np.array([1, -1, 2]), ValueError, "tokens holds token -1"),
        (np.array([1.0, 2.0, 3.0]), TypeError, "tokens has dtype float64"),
        (np.array([1, 2]), ValueError, r"tokens has shape \(2, 1\); expected \(3, 1\)"),
    ):
        with pytest.raises(error, match=message):
            step(model.layer, stage.array(tokens), cache)
    for _ in range(7):  # the refused steps have left no trace
        step(model.layer, stage.array(TARGET[:, 0]), cache)
    with pytest.raises(ValueError, match="sequence length is 8; max_positions is 7"):
        step(model.layer, stage.array(TARGET[:, 0]), cache)
    with pytest.raises(ValueError, match="tokens holds token 12; the vocabulary has 11"):
        start(model.layer, stage.array(changed(SOURCE, 12)))


LOSSES = [
    ([0, 1, 4], {}, ValueError, r"targets holds token 4; the vocabulary has 4 \(0 to 3\)"),
    ([0, -1, 3], {}, ValueError, "targets holds token -1"),
    ([0], {}, ValueError, r"targets has shape \(1,\); expected \(3,\)"),
    ([0, 1, 2, 3], {}, ValueError, r"targets has shape \(4,\); expected \(3,\)"),
    ([0.0, 1.0, 2.0], {}, TypeError, "targets has dtype float64; expected integer"),
    (
        [0, 1, 2],
        {"smoothing": 1.0},
        ValueError,
        "smoothing is 1.0; expected a number of at least 0 and below 1",
    ),
    ([0, 1, 2], {"smoothing": -0.1}, ValueError, "smoothing is -0.1"),
    ([0, 1, 2], {"smoothing": float("nan")}, ValueError, "smoothing is nan"),
]


@pytest.mark.parametrize(("targets", "options", "error", "message"), LOSSES, ids=range(len(LOSSES)))
def test_losses(stage, targets, options, error, message):
    with pytest.raises(error, match=message):
        stage.call("cross_entropy", np.zeros((3, 4)), np.array(targets), **options)
    with pytest.raises(error, match=message):
        stage.call("linear_cross_entropy", np.zeros((3, 2)), np.zeros((4, 2)), np.array(targets), **options)


def test_hidden_rows_of_the_wrong_size(stage):
    with pytest.raises(ValueError, match=r"hidden has shape \(3, 2\); expected \(..., 5\)"):
        stage.call("linear_cross_entropy", np.zeros((3, 2)), np.zeros((4, 5)), np.array([0, 1, 2]))


def test_state_of_another_optimizer(stage):
    layer = stage.layer("LayerNorm", 3).layer
    adamw = stage.get("AdamW")(layer.named_parameters())
    state = {name: np.array(stage.numpy(x)) for name, x in adamw.state_dict().items()}
    with pytest.raises(ValueError, match=r"missing names \['mean.bias'\]"):
        adamw.load_state_dict({name: x for name, x in state.items() if name != "mean.bias"})
    with pytest.raises(ValueError, match=r"square.weight has shape \(1,\); expected \(3,\)"):
        adamw.load_state_dict({**state, "square.weight": np.zeros(1)})


def test_one_sentence_without_a_batch(stage):
    model = build(stage, configuration())
    with pytest.raises(ValueError, match=r"source has shape \(7,\); expected 2 axes"):
        model.forward(SOURCE[0], TARGET)
    with pytest.raises(ValueError, match=r"target has shape \(5,\); expected 2 axes"):
        model.forward(SOURCE, TARGET[0])


def test_loss_of_nothing(stage):
    with pytest.raises(ValueError, match=r"targets is empty: shape \(0,\)"):
        stage.call("cross_entropy", np.zeros((0, 4)), np.zeros(0, np.int64))


LAYERS = [
    ("Dropout", (1.0,), "rate is 1.0; expected a number of at least 0 and below 1"),
    ("Dropout", (-0.1,), "rate is -0.1"),
    ("Dropout", ("half",), "rate is 'half'"),
    ("Embedding", (0, 4), "vocab_size is 0; expected an integer of at least 1"),
    ("Embedding", (4, 2.5), "d_model is 2.5; expected an integer"),
    ("LayerNorm", (0,), "d_model is 0"),
    ("RMSNorm", (-3,), "d_model is -3"),
    ("FeedForward", (4, 0), "d_out is 0; expected an integer of at least 1"),
]


@pytest.mark.parametrize(("name", "args", "message"), LAYERS)
def test_layers(stage, name, args, message):
    with pytest.raises(ValueError, match=message):
        stage.layer(name, *args)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "FeedForward"])
def test_rows_of_the_wrong_size(stage, name):
    layer = stage.layer(name, *((6, 9) if name == "FeedForward" else (6,)))
    with pytest.raises(ValueError, match=r"x has shape \(2, 5\); expected \(..., 6\)"):
        layer.forward(np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"positions": "learned"},
            r"missing names \[\] and unexpected names \['decoder.input.learned.weight'",
        ),
        ({"norm_first": False}, r"missing names \['decoder.norm.bias', .* and unexpected names \[\]"),
        ({"vocab_size": 12}, r"embedding.weight has shape \(12, 8\); expected \(11, 8\)"),
        ({"n_kv_heads": 2}, r"w_k.weight has shape \(4, 8\); expected \(8, 8\)"),
        ({"n_layers": 3}, r"unexpected names \['decoder.blocks.2."),
    ],
)
def test_weights_of_another_model(stage, changes, message):
    """Refused, by name, and no weight has changed."""
    model, other = build(stage, configuration()), build(stage, configuration(**changes), seed=1)
    before = {name: x.copy() for name, x in model.state().items()}
    with pytest.raises(ValueError, match=message):
        model.load(other.state())
    assert all((x == before[name]).all() for name, x in model.state().items())


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (ModelConfig, {"vocab_size": 9.0}, "vocab_size is 9.0; expected an integer of at least 1"),
        (ModelConfig, {"vocab_size": 9, "n_layers": 0}, "n_layers is 0"),
        (ModelConfig, {"vocab_size": 9, "max_positions": -4}, "max_positions is -4"),
        (ModelConfig, {"vocab_size": 9, "d_ff": True}, "d_ff is True"),
        (ModelConfig, {"vocab_size": 9, "n_kv_heads": 0}, "n_kv_heads is 0"),
        (ModelConfig, {"vocab_size": 9, "dropout": -0.1}, "dropout is -0.1"),
        (
            ModelConfig,
            {"vocab_size": 9, "d_model": 12, "n_heads": 4, "positions": "rotary"},
            "2, which does not divide the head size 3",
        ),
        (TrainingConfig, {"steps": 0}, "steps is 0; expected an integer of at least 1"),
        (TrainingConfig, {"max_norm": -1.0}, "max_norm is -1.0; expected a number above 0"),
        (TrainingConfig, {"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        (TrainingConfig, {"weight_decay": -0.01}, "weight_decay is -0.01; expected a number of at least 0"),
        (TrainingConfig, {"seed": 1.5}, "seed is 1.5; expected an integer of at least 0"),
    ],
)
def test_configurations(kind, fields, message):
    with pytest.raises(ValueError, match=message):
        kind(**fields)
