"""Training language models: equal in every stage, and models that learn a text."""

from functools import cache
from itertools import islice

import numpy as np
import pytest

from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.text.plain import read_text
from step01_numpy.common.text.tokenizer import EOS, MASK, Tokenizer
from step01_numpy.common.training.configuration import RunConfig, TrainingConfig
from step01_numpy.common.training.tasks import CAUSAL, MASKED, TASKS, TRANSFORMER, task_of
from tests.training.test_training import optimizer

POEM = [
    "The fog comes on little cat feet.",
    "It sits looking over harbor and city",
    "on silent haunches and then moves on.",
]
SIZES = {"d_model": 16, "n_heads": 2, "d_ff": 24, "n_layers": 1, "max_positions": 12}
# Of each task, what its own defaults are not.
VARIANTS = {
    "causal-lm": {},
    "causal-lm, learned, scaled": {"positions": "learned", "scale_embedding": True, "norm_first": False},
    "causal-lm, as Llama": {"norm": "rms", "gated": True, "activation": "silu", "n_kv_heads": 1, "window": 4},
    "masked-lm": {},
    "masked-lm, pre-norm": {"norm_first": True, "n_segments": 2, "tied": False},
}


@cache
def embedded(n):
    return read_text("embedded", "train")[:n]


def prepare(stage, task, lines, training, *, dtype="float64", vocab_size=120, **fields):
    """Build a model and its batches, which share one generator, as `Trainer` does."""
    rng = np.random.default_rng(training.seed)
    tokenizer = Tokenizer.train(lines, vocab_size, mask=task.masks)
    config = task.model_config(tokenizer.vocab_size, fields)
    model = stage.layer(config.family, config, rng=rng, dtype=dtype)
    options = {"tokens_per_batch": training.tokens_per_batch, "rng": rng}
    batches, dropped = task.batches(lines, tokenizer, config.max_positions, **options)
    assert dropped == 0
    return model, batches, tokenizer


def updates(stage, model, batches, training):
    adamw = optimizer(stage, model, training)
    return list(islice(stage.get("train")(model.layer, batches, adamw, training), training.steps))


# ---- equal in every stage ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_hundred_updates_are_equal(variant):
    """Dropout, label smoothing, clipping, weight decay and masking on: every loss agrees."""
    task = TASKS[variant.partition(",")[0]]
    training = TrainingConfig(
        steps=100, warmup=20, peak_rate=1e-2, tokens_per_batch=100, label_smoothing=0.1, seed=3
    )
    fields = {**SIZES, "dropout": 0.1, **VARIANTS[variant]}
    ours, theirs = (
        prepare(Stage(name), task, embedded(60), training, **fields)[:2]
        for name in ("step01_numpy", "step02_torch")
    )
    found = updates(Stage("step01_numpy"), *ours, training)
    expected = updates(Stage("step02_torch"), *theirs, training)
    for a, b in zip(found, expected, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-9), f"update {a.step}"
        assert a.norm == pytest.approx(b.norm, rel=1e-6), f"update {a.step}"
        assert (a.step, a.tokens, a.rate) == (b.step, b.tokens, b.rate)
    assert np.mean([p.loss for p in found[-10:]]) < np.mean([p.loss for p in found[:10]]) - 0.3
    assert ours[1].rng.bit_generator.state == theirs[1].rng.bit_generator.state


# ---- what is learned --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")  # for speed
def test_a_causal_model_learns_a_text_by_heart(stage):
    """From the first token of a poem it says the rest, lines' ends included."""
    training = TrainingConfig(steps=80, warmup=10, peak_rate=1e-2, tokens_per_batch=100, label_smoothing=0.0)
    fields = {"d_model": 32, "n_heads": 4, "d_ff": 64, "n_layers": 1, "max_positions": 60, "dropout": 0.0}
    model, batches, tokenizer = prepare(stage, CAUSAL, POEM, training, dtype="float32", **fields)
    losses = [p.loss for p in updates(stage, model, batches, training)]
    assert losses[0] > 3
    assert np.mean(losses[-5:]) < 0.1
    model.layer.eval()
    (window,) = batches.sequences
    tokens, cache = np.array([EOS]), stage.get("start")(model.layer, stage.array(np.zeros((1, 0), np.int64)))
    said = []
    for _ in range(len(window) - 1):
        logits = stage.numpy(stage.get("step")(model.layer, stage.array(tokens), cache))
        tokens = logits.argmax(axis=-1)
        said.append(int(tokens[0]))
    ends = [place for place, token in enumerate(said) if token == EOS]
    lines = [said[start:end] for start, end in zip([0, *(x + 1 for x in ends)], ends, strict=False)]
    assert [tokenizer.decode(line) for line in lines] == POEM


@pytest.mark.usefixtures("unchecked")  # for speed
def test_a_masked_model_fills_blanks(stage):
    """Sentences of the embedded corpus, one word after another hidden."""
    lines = embedded(12)
    training = TrainingConfig(steps=300, warmup=20, peak_rate=1e-2, tokens_per_batch=400, label_smoothing=0.0)
    fields = {"d_model": 32, "n_heads": 4, "d_ff": 64, "n_layers": 1, "max_positions": 40, "dropout": 0.0}
    model, batches, _ = prepare(stage, MASKED, lines, training, dtype="float32", vocab_size=300, **fields)
    losses = [p.loss for p in updates(stage, model, batches, training)]
    assert losses[0] > 3
    model.layer.eval()
    right = total = 0
    for sequence in batches.sequences:
        blanks = np.tile(sequence, (len(sequence) - 2, 1))
        rows = np.arange(len(blanks))
        blanks[rows, rows + 1] = MASK
        logits = model.forward(blanks, np.ones_like(blanks, dtype=bool))
        right += (logits[rows, rows + 1].argmax(axis=-1) == sequence[1:-1]).sum()
        total += len(rows)
    assert total > 80
    assert right / total > 0.9


# ---- tasks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_the_configuration_of_a_model_tells_its_task(name):
    config = RunConfig.from_dict({"task": name}).model_config(vocab_size=20)
    assert task_of(config) is TASKS[name]
    assert [task.name for task in TASKS.values() if task.fits(config)] == [name]


def test_fields_that_are_given_come_before_a_tasks_defaults():
    given = {"positions": "sinusoidal", "norm_first": True}
    config = RunConfig.from_dict({"task": "masked-lm", "model": given}).model_config(20)
    assert (config.architecture, config.positions, config.norm_first) == ("encoder", "sinusoidal", True)
    assert (config.head, config.activation, config.d_model) == ("transformed", "gelu", 128)
    values = {"task": "causal-lm", "training": {"steps": 7}}
    training = RunConfig.from_dict(values).training
    assert (training.steps, training.label_smoothing) == (7, 0.0)
    assert (
        RunConfig.from_dict(values | {"training": {"label_smoothing": 0.2}}).training.label_smoothing == 0.2
    )
    assert RunConfig.from_dict({}).training == TrainingConfig()
    assert RunConfig().task == TRANSFORMER.name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"task": "poetry"},
            "task is 'poetry'; expected one of transformer, recurrent, masked-lm, causal-lm",
        ),
        ({"task": ["transformer"]}, r"task is \['transformer'\]; expected one of"),
        (
            {"task": "causal-lm", "model": {"architecture": "encoder"}},
            "architecture is 'encoder'; expected 'dec",
        ),
        (
            {"model": {"architecture": "decoder"}},
            "architecture is 'decoder'; expected 'encoder_decoder', as trans",
        ),
        ({"task": "recurrent", "model": {"n_heads": 2}}, "RecurrentConfig has no field 'n_heads'"),
        ({"model": {"score": "dot"}}, "ModelConfig has no field 'score'"),
        ({"task": "causal-lm", "training": 3}, "TrainingConfig is 3"),
        ({"task": "causal-lm", "model": 3}, "ModelConfig is 3"),
    ],
)
def test_wrong_configurations_of_tasks(values, message):
    with pytest.raises(ValueError, match=message):
        RunConfig.from_dict(values)


def test_masked_batches_need_a_mask_token():
    options = {"tokens_per_batch": 40, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match="the tokenizer has no token <mask>"):
        MASKED.batches(POEM, Tokenizer.train(POEM, 60), 12, **options)
