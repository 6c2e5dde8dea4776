"""The translator of 2014: equal in every stage, blind to padding and the future, cached, able to learn."""

from itertools import islice

import numpy as np
import pytest

from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.decoding.search import beam_search
from step01_numpy.common.parity.slopes import Evaluation, slopes
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.text.batches import Batch, Batches
from step01_numpy.common.training.configuration import TrainingConfig
from tests.decoding.test_generation import Decoding, Uncached
from tests.device_array import DeviceArray
from tests.models.test_transformer import SOURCE, TARGET, reseeded, shaken
from tests.tolerances import assert_all_equal64, assert_equal64
from tests.training.test_training import optimizer, sentences, translate

V = 11
TARGET_OUT = np.array([[7, 7, 3, 5, 2], [10, 4, 2, 0, 0], [2, 0, 0, 0, 0]])
BATCH = Batch(SOURCE, TARGET, TARGET_OUT)
VARIANTS = {
    "additive": {},
    "dot": {"score": "dot"},
    "general": {"score": "general"},
    "concat": {"score": "concat"},
    "none": {"score": "none"},
    "additive, local": {"window": 2},
    "dot, local": {"score": "dot", "window": 1},
    "general, local": {"score": "general", "window": 2},
    "concat, local": {"score": "concat", "window": 3},
    "dropout": {"dropout": 0.3},
    "dropout, none": {"dropout": 0.3, "score": "none"},
    "dropout, local": {"dropout": 0.3, "score": "general", "window": 2},
}
SOME = ["additive", "none", "general, local"]


def configuration(**changes):
    return RecurrentConfig(**{"vocab_size": V, "d_model": 6, "d_hidden": 8, "dropout": 0.0, **changes})


def build(stage, config, seed=0, **options):
    return stage.layer("RecurrentTranslator", config, rng=np.random.default_rng(seed), **options)


def translator(stage, rng, variant):
    return shaken(build(stage, configuration(**VARIANTS[variant])), rng)


def peer(stage, config):
    return build(Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch"), config, seed=1)


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
    assert model.layer.rng.bit_generator.state == other.layer.rng.bit_generator.state


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["dropout", "none", "dropout, local"])
def test_gradients_equal_central_differences(rng, variant):
    model = translator(Stage("step01_numpy"), rng, variant)
    weights = {name: x.copy() for name, x in model.state().items()}

    def run(weights):
        return reseeded(model.load(weights)).forward(SOURCE, TARGET)

    out = run(weights)
    d_out = rng.normal(size=out.shape)
    gradients = reseeded(model).gradients(d_out, SOURCE, TARGET)
    found, measured = slopes(Evaluation(weights, run, out, d_out, gradients), seed=1)
    for name in weights:
        assert found[name] == pytest.approx(measured[name], abs=1e-6, rel=1e-6), name


def test_equal_seeds_draw_equal_weights(stage):
    models = [build(s, configuration(window=2)) for s in (stage, Stage("step01_numpy"))]
    states = [model.state() for model in models]
    assert list(states[0]) == list(states[1])
    assert all((x == states[1][name]).all() for name, x in states[0].items())
    generators = [model.layer.rng.bit_generator.state for model in models]
    assert generators[0] == generators[1]


def one_step_by_hand(w, source, token):
    """Write the logits after one token as the formulas have them, for one sentence without padding."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def gru(x, h, u, c):
        (xr, xz, xn), (hr, hz, hn) = np.split(x, 3), np.split(u @ h + c, 3)
        z = sigmoid(xz + hz)
        return (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h

    def read(rows, name):
        h, out = np.zeros(4), []
        for x in rows:
            weights = [w[f"encoder.gru.{name}.{part}"] for part in ("w_x.weight", "w_x.bias")]
            h = gru(
                weights[0] @ x + weights[1],
                h,
                *(w[f"encoder.gru.{name}.w_h.{x}"] for x in ("weight", "bias")),
            )
            out.append(h)
        return np.array(out)

    e, d = w["embedding.weight"], {name.removeprefix("decoder."): x for name, x in w.items()}
    rows, y = e[source] * 6**0.5, e[token] * 6**0.5
    there, back = read(rows, "left_to_right"), read(rows[::-1], "right_to_left")[::-1]
    h = np.concatenate([there, back], axis=1)
    s = np.tanh(d["w_0.weight"] @ np.concatenate([there[-1], back[0]]) + d["w_0.bias"])
    u, a, v = (d[f"attention.score.{x}"] for x in ("w_h.weight", "w_s.weight", "v"))
    share = np.exp([v @ np.tanh(a @ s + u @ row) for row in h])
    c = share @ h / share.sum()
    s = gru(d["w_y.weight"] @ y + d["w_y.bias"] + d["w_c.weight"] @ c, s, d["w_h.weight"], d["w_h.bias"])
    return e @ np.tanh(d["readout.weight"] @ np.concatenate([y, s, c]) + d["readout.bias"])


def test_the_first_logits_equal_bahdanaus_formulas(stage, rng):
    model = translator(stage, rng, "additive")
    expected = one_step_by_hand(model.state(), SOURCE[0], 1)
    assert_equal64(model.forward(SOURCE[:1], np.array([[1]]))[0, 0], expected)


@pytest.mark.parametrize("variant", SOME)
def test_more_padding_changes_nothing(stage, rng, variant):
    model, real = translator(stage, rng, variant), TARGET != 0
    logits = model.forward(SOURCE, TARGET)
    d_logits = rng.normal(size=logits.shape) * real[:, :, None]
    expected = model.gradients(d_logits, SOURCE, TARGET)
    source, target = (np.pad(x, ((0, 0), (0, 3))) for x in (SOURCE, TARGET))
    assert_equal64(model.forward(source, target)[:, :5][real], logits[real])
    found = model.gradients(np.pad(d_logits, ((0, 0), (0, 3), (0, 0))), source, target)
    assert_all_equal64(found, expected)


@pytest.mark.parametrize("variant", SOME)
def test_a_sentence_alone_equals_itself_in_a_batch(stage, rng, variant):
    model = translator(stage, rng, variant)
    logits = model.forward(SOURCE, TARGET)
    assert_equal64(model.forward(SOURCE[1:2, :4], TARGET[1:2, :3]), logits[1:2, :3])


def test_padding_is_the_token_that_the_configuration_names(stage, rng):
    model = shaken(build(stage, configuration(pad=9)), rng)
    source = np.array([[3, 4, 5, 9, 9]])
    assert_equal64(model.forward(source, TARGET[:1]), model.forward(source[:, :3], TARGET[:1]))
    assert (
        abs(model.forward(source * 0, TARGET[:1]) - model.forward(source[:, :3] * 0, TARGET[:1])).max() > 1e-4
    )


@pytest.mark.parametrize("variant", SOME)
def test_the_future_changes_nothing_and_the_past_all(stage, rng, variant):
    model, changed = translator(stage, rng, variant), TARGET.copy()
    changed[:, 2] = 8
    logits, others = model.forward(SOURCE, TARGET), model.forward(SOURCE, changed)
    assert (logits[:, :2] == others[:, :2]).all()
    assert (abs(logits[:, 2:] - others[:, 2:]).max(axis=-1) > 1e-6).all()


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", list(VARIANTS)[:9])
@pytest.mark.parametrize("rows", [[2, 0, 0], [0, 0, 2, 2, 1, 1]])
def test_cached_steps_give_the_full_forwards_logits_reordered_too(stage, rng, variant, rows):
    model = translator(stage, rng, variant)
    model.layer.eval()
    rest = rng.integers(1, V, (len(rows), 2))
    whole = np.concatenate([TARGET[rows, :3], rest], axis=1)
    before, after = model.forward(SOURCE, TARGET), model.forward(SOURCE[rows], whole)
    decoding = Decoding(model, SOURCE)
    for position, tokens in enumerate(TARGET.T[:3]):
        assert_equal64(decoding.step(tokens), before[:, position], f"position {position}")
    decoding.reorder(np.array(rows))
    for position, tokens in enumerate(rest.T, 3):
        assert_equal64(decoding.step(tokens), after[:, position], f"position {position}")


@pytest.mark.usefixtures("unchecked")  # for speed
def test_beams_with_a_cache_equal_beams_without(stage, rng):
    model = translator(stage, rng, "additive")
    cached, uncached = Decoding(model, SOURCE), Uncached(model, SOURCE)
    options = {"n_rows": 3, "beam": 3, "max_length": 6}
    found = beam_search(cached.step, cached.reorder, **options)
    expected = beam_search(uncached.step, uncached.reorder, **options)
    assert [x.tokens for x in found] == [x.tokens for x in expected]
    assert [x.score for x in found] == pytest.approx([x.score for x in expected], abs=1e-10)


@pytest.mark.parametrize("variant", ["additive", "none", "dot, local"])
def test_alignments_are_recorded(stage, rng, variant):
    model = translator(stage, rng, variant)
    model.forward(SOURCE, TARGET)
    assert model.layer.maps is None
    model.layer.maps = []
    model.forward(SOURCE, TARGET)
    (found,) = model.layer.maps
    assert isinstance(found, np.ndarray)
    assert found.shape == (3, 5, 1 if variant == "none" else 7)
    if variant == "additive":
        assert_equal64(found.sum(axis=-1), np.ones((3, 5)))
    if variant != "none":
        assert (found.swapaxes(1, 2)[SOURCE == 0] == 0).all()
    model.layer.maps = []
    decoding = Decoding(model, SOURCE)
    for tokens in TARGET.T:
        decoding.step(tokens)
    assert_equal64(np.concatenate(model.layer.maps, axis=1), found)


def test_keys_are_computed_once_a_sentence(stage, rng):
    model = translator(stage, rng, "additive")
    model.layer.eval()
    decoding, expected = Decoding(model, SOURCE), model.forward(SOURCE, TARGET)
    keys = decoding.cache.memory.keys
    model.load(model.state() | {"decoder.attention.score.w_h.weight": np.zeros((8, 8))})
    assert_equal64(decoding.step(TARGET[:, 0]), expected[:, 0])
    assert decoding.cache.memory.keys is keys


def test_dropout_is_on_in_training_alone(stage):
    model = build(stage, configuration(dropout=0.5))
    assert (model.forward(SOURCE, TARGET) != model.forward(SOURCE, TARGET)).any()
    model.layer.eval()
    assert (model.forward(SOURCE, TARGET) == model.forward(SOURCE, TARGET)).all()


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", SOME)
def test_float32_stays_float32(stage, rng, variant):
    model = build(stage, configuration(**VARIANTS[variant], dropout=0.3), dtype="float32")
    logits = model.forward(SOURCE, TARGET)
    found = model.gradients(rng.normal(size=logits.shape).astype(np.float32), SOURCE, TARGET)
    assert {logits.dtype.name, *(x.dtype.name for x in found.values())} == {"float32"}


def trace(stage, variant, steps):
    rng = np.random.default_rng(3)
    model = build(stage, configuration(**VARIANTS[variant]))
    sources = sentences(5, 40, longest=7)
    batches = Batches(sources, [x[::-1] for x in sources], tokens_per_batch=60, rng=rng)
    training = TrainingConfig(steps=steps, warmup=20, peak_rate=1e-2, max_norm=1.0, label_smoothing=0.1)
    updates = stage.get("train")(model.layer, batches, optimizer(stage, model, training), training)
    return list(islice(updates, steps)), model


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["dropout", "dropout, local"])
def test_a_hundred_updates_are_equal(variant):
    (ours, model), (theirs, other) = (
        trace(Stage(name), variant, 100) for name in ("step01_numpy", "step02_torch")
    )
    for a, b in zip(ours, theirs, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-9), f"update {a.step}"
        assert a.norm == pytest.approx(b.norm, rel=1e-6), f"update {a.step}"
    assert np.mean([p.loss for p in ours[-10:]]) < np.mean([p.loss for p in ours[:10]]) - 0.1
    assert model.layer.rng.bit_generator.state == other.layer.rng.bit_generator.state


def reverser(stage, **changes):
    """Train a model to reverse sentences of 2 to 5 tokens; return it, and how it reverses others."""
    training = TrainingConfig(steps=200, warmup=20, peak_rate=1e-2, label_smoothing=0.0)
    model = build(stage, configuration(d_model=32, d_hidden=32, **changes), dtype="float32")
    known = sentences(5, 2000, longest=5)
    batches = Batches(known, [x[::-1] for x in known], tokens_per_batch=400, rng=np.random.default_rng(0))
    adamw = optimizer(stage, model, training)
    losses = [p.loss for p in islice(stage.get("train")(model.layer, batches, adamw, training), 200)]
    assert losses[0] > 2
    new = [x for x in sentences(6, 200, longest=5) if x not in known]
    return model, new, translate(stage, model, new), np.mean(losses[-10:])


def exact(new, found, length):
    """Return the share of sentences of a length, or longer, that came out reversed."""
    return np.mean([a == b[::-1] for a, b in zip(found, new, strict=True) if len(b) >= length])


@pytest.mark.usefixtures("unchecked")  # for speed
def test_a_model_learns_to_reverse(stage):
    """
    From log 11 = 2.4 nats per token to under 0.05, and to sentences never seen.

    The weights learned here then say the same tokens in another stage.
    """
    model, new, found, loss = reverser(stage)
    assert loss < 0.05
    assert exact(new, found, length=2) > 0.9
    there = peer(stage, model.layer.config)
    there.layer.float()
    assert translate(there.stage, there.load(model.state()), new) == found


@pytest.mark.usefixtures("unchecked")  # for speed
def test_without_attention_the_longest_sentences_suffer():
    """One vector for the sentence holds three tokens, but hardly five."""
    _, new, found, _ = reverser(Stage("step01_numpy"), score="none")
    assert exact(new, found, length=5) < 0.6 < exact(new, found, length=2)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
def test_step01s_model_runs_on_arrays_that_are_not_numpys(rng, variant):
    """Forward, backward, an update and decoding: no step goes over the host."""
    import step01_numpy as stage

    config, training = configuration(**VARIANTS[variant]), TrainingConfig(warmup=2)
    models = [stage.RecurrentTranslator(config, rng=np.random.default_rng(0)).double() for _ in range(2)]
    models[1].convert(DeviceArray)
    for model in models:
        adamw = stage.AdamW(model.named_parameters())
        stage.training_step(model, BATCH, adamw, training, step=1)
    for expected, parameter in zip(*(model.parameters() for model in models), strict=True):
        assert_equal64(parameter.data.host, expected.data)
    caches = [stage.start(models[0], SOURCE), stage.start(models[1], DeviceArray(SOURCE))]
    rows = np.array([2, 0, 0])
    for cache, order in zip(caches, (rows, DeviceArray(rows)), strict=True):
        cache.reorder(order)
    for model in models:
        model.eval()
    expected = stage.step(models[0], TARGET[:, 0], caches[0])
    assert_equal64(stage.step(models[1], DeviceArray(TARGET[:, 0]), caches[1]).host, expected)


def test_configuration_goes_to_a_dict_and_back():
    config = configuration(score="general", window=3)
    assert RecurrentConfig.from_dict(config.to_dict()) == config
    assert config.family == "RecurrentTranslator"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"d_hidden": 7}, "2, which does not divide d_hidden 7"),
        ({"score": "cosine"}, "score is 'cosine'; expected one of additive, dot, general, concat, none"),
        ({"window": 0}, "window is 0"),
        ({"window": 2, "score": "none"}, "window is 2; without attention"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"pad": 11}, "pad is 11; expected a token, 0 to 10"),
        ({"max_positions": -1}, "max_positions is -1"),
    ],
)
def test_a_wrong_configuration_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        configuration(**changes)


@pytest.mark.ours  # the messages are our words
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_named(stage):
    model = build(stage, configuration())
    with pytest.raises(ValueError, match=r"source has shape \(7,\); expected 2 axes"):
        model.forward(SOURCE[0], TARGET)
    with pytest.raises(ValueError, match=r"target has shape \(5,\); expected 2 axes"):
        model.forward(SOURCE, TARGET[0])
    with pytest.raises(ValueError, match=r"tokens has shape \(2, 5\); expected \(3, 5\)"):
        model.forward(SOURCE, TARGET[:2])
    with pytest.raises(ValueError, match="holds token 11"):
        model.forward(SOURCE + 1, TARGET)
