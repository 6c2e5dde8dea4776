"""Additive and multiplicative attention over annotations: by hand, by central differences, in every stage."""

import numpy as np
import pytest

from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.parity.stage import Stage, central_differences
from tests.tolerances import assert_all_equal64, assert_equal64

B, S, D = 3, 7, 4
MASK = np.arange(S) < np.array([7, 5, 2])[:, None]
SCORES = ("additive", "dot", "general", "concat")
KINDS = [(score, window) for score in SCORES for window in (None, 2)] + [("none", None)]


def attention(stage, score, window=None, rng=None):
    config = RecurrentConfig(5, d_hidden=D, score=score, window=window)
    return stage.layer("build_attention", config, rng=rng or np.random.default_rng(0))


def inputs(rng):
    return rng.normal(size=(B, D)), rng.normal(size=(B, S, D)), MASK


def ask(model, state, annotations, mask):
    """Return the context and the weights."""
    state, annotations, mask = model.stage.array((state, annotations, mask))
    context, weights, *_ = model.layer(state, model.layer.read(annotations, mask))
    return model.stage.numpy((context, weights))


def gradients(model, d_context, state, annotations, mask):
    """Return the gradients by name: "state", "annotations" and those of the weights."""
    stage, layer = model.stage, model.layer
    d_context, state, annotations, mask = stage.array((d_context, state, annotations, mask))
    layer.zero_grad()
    if hasattr(layer, "backward"):
        memory = layer.read(annotations, mask)
        d_state, *d_memory = layer.backward(d_context, memory, layer(state, memory)[-1])
        found = {"state": d_state, "annotations": layer.read_backward(*d_memory)}
    else:
        leaves = [x.requires_grad_() for x in (state, annotations)]
        layer(state, layer.read(annotations, mask))[0].backward(d_context)
        found = {"state": leaves[0].grad, "annotations": leaves[1].grad}
        found = {name: state * 0 if x is None else x for name, x in found.items()}
    found |= {name: p.grad for name, p in layer.named_parameters()}
    return {name: stage.numpy(x) for name, x in found.items()}


def expected_score(score, w, s, h):
    """Write one state's score with one annotation, as the papers do."""
    w = {name.removeprefix("score."): x for name, x in w.items()}
    if score == "dot":
        return s @ h
    if score == "general":
        return s @ w["w_h.weight"] @ h
    if score == "concat":
        return w["v"] @ np.tanh(w["w_a.weight"] @ np.concatenate([s, h]))
    return w["v"] @ np.tanh(w["w_s.weight"] @ s + w["w_h.weight"] @ h)


def expected_weights(score, window, w, s, annotations, length):
    """Weigh one sentence's annotations; what stands outside window and sentence has weight 0."""
    share = np.exp([expected_score(score, w, s, h) for h in annotations])
    position, gaussian = np.arange(S), np.ones(S)
    seen = position < length
    if window is not None:
        centre = length / (1 + np.exp(-w["v_p"] @ np.tanh(w["w_p.weight"] @ s)))
        seen &= abs(position - centre) <= window
        gaussian = np.exp(-((position - centre) ** 2) / (2 * (window / 2) ** 2))
    return share * seen / (share * seen).sum() * gaussian


@pytest.mark.parametrize(("score", "window"), KINDS[:-1])
def test_context_and_weights_equal_the_papers_formulas(stage, rng, score, window):
    model = attention(stage, score, window)
    state, annotations, _ = inputs(rng)
    context, weights = ask(model, state, annotations, MASK)
    expected = [
        expected_weights(score, window, model.state(), *row)
        for row in zip(state, annotations, MASK.sum(axis=1), strict=True)
    ]
    assert_equal64(weights, np.array(expected))
    assert_equal64(context, np.array([a @ h for a, h in zip(expected, annotations, strict=True)]))
    hidden = weights[~MASK]
    assert (hidden == 0).all()
    if window is None:
        assert_equal64(weights.sum(axis=1), np.ones(B))
    else:
        assert ((weights > 0).sum(axis=1) <= 2 * window + 1).all()


@pytest.mark.grid
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize(("score", "window"), KINDS)
def test_gradients_equal_central_differences(stage, rng, score, window):
    model = attention(stage, score, window)
    state, annotations, mask = inputs(rng)
    d_context = rng.normal(size=(B, D))
    found = gradients(model, d_context, state, annotations, mask)
    weights = {name: x.copy() for name, x in model.state().items()}

    def context(name):
        def run(x):
            model.load(weights | ({name: x} if name in weights else {}))
            given = {"state": state, "annotations": annotations} | {name: x}
            return ask(model, given["state"], given["annotations"], mask)[0]

        return run

    for name, x in ({"state": state, "annotations": annotations} | weights).items():
        measured = central_differences(context(name), x.copy(), d_context)
        assert found[name] == pytest.approx(measured, abs=1e-7), name
    assert set(found) == {"state", "annotations", *weights}


@pytest.mark.parametrize(("score", "window"), KINDS)
def test_stages_agree(stage, rng, score, window):
    other = attention(
        Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch"), score, window
    )
    model = attention(stage, score, window, np.random.default_rng(1)).load(other.state())
    given, d_context = inputs(rng), rng.normal(size=(B, D))
    assert_all_equal64(ask(model, *given), ask(other, *given))
    assert_all_equal64(gradients(model, d_context, *given), gradients(other, d_context, *given))


@pytest.mark.parametrize(("score", "window"), KINDS[:-1])
def test_a_sentence_without_a_token_gives_zeros(stage, rng, score, window):
    model, given = (
        attention(stage, score, window),
        (*inputs(rng)[:2], MASK & np.array([[True], [False], [True]])),
    )
    d_context = rng.normal(size=(B, D))
    context, weights = ask(model, *given)
    found = gradients(model, d_context, *given)
    assert (context[1] == 0).all()
    assert (weights[1] == 0).all()
    assert (found["state"][1] == 0).all()
    assert (found["annotations"][1] == 0).all()
    assert all(np.isfinite(x).all() for x in found.values())


def test_concat_is_additive_with_both_matrices_in_one(stage, rng):
    additive, concat = attention(stage, "additive"), attention(stage, "concat")
    w = additive.state()
    joined = np.concatenate([w["score.w_s.weight"], w["score.w_h.weight"]], axis=1)
    concat.load({"score.w_a.weight": joined, "score.v": w["score.v"]})
    given, d_context = inputs(rng), rng.normal(size=(B, D))
    assert_all_equal64(ask(concat, *given), ask(additive, *given))
    found, expected = (gradients(model, d_context, *given) for model in (concat, additive))
    halves = [expected["score.w_s.weight"], expected["score.w_h.weight"]]
    assert_equal64(found["score.w_a.weight"], np.concatenate(halves, axis=1))


def test_dot_is_scaled_dot_product_attention_without_the_scale(stage, rng):
    """One query a sentence, the annotations being keys and values: what 2017 kept of it."""
    state, annotations, mask = inputs(rng)
    given = state[:, None], annotations, annotations, mask[:, None]
    out, weights = stage.call("scaled_dot_product_attention", *given, scale=1.0)
    assert_all_equal64(ask(attention(stage, "dot"), state, annotations, mask), (out[:, 0], weights[:, 0]))


def test_without_attention_every_state_sees_the_same_vector(stage, rng):
    model = attention(stage, "none")
    state, annotations, mask = inputs(rng)
    context, weights = ask(model, state, annotations, mask)
    assert_equal64(context, stage.call("summary", annotations))
    assert (ask(model, 2 * state, annotations, mask)[0] == context).all()
    assert (weights == np.ones((B, 1))).all()
    assert not model.state()


@pytest.mark.parametrize(("score", "window"), KINDS)
def test_float32_stays_float32(stage, rng, score, window):
    config = RecurrentConfig(5, d_hidden=D, score=score, window=window)
    model = stage.layer("build_attention", config, rng=rng, dtype="float32")
    state, annotations, d_context = (
        rng.normal(size=n).astype(np.float32) for n in [(B, D), (B, S, D), (B, D)]
    )
    found = gradients(model, d_context, state, annotations, MASK).values()
    assert {x.dtype.name for x in (*ask(model, state, annotations, MASK), *found)} == {"float32"}
