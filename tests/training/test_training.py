"""Training: the loss and its gradients, one update, two hundred equal ones, and a model that learns."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional

from step01_numpy.common.decoding.search import greedy
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.text.batches import Batch, Batches, pad
from step01_numpy.common.text.tokenizer import EOS
from step01_numpy.common.training.configuration import TrainingConfig
from tests.device_array import ATTENTIONS, DeviceArray
from tests.models.test_transformer import SOURCE, TARGET, VARIANTS, build, configuration, reseeded, shaken
from tests.tolerances import assert_all_equal64, assert_equal64

TARGET_OUT = np.array([[7, 7, 3, 5, 2], [10, 4, 2, 0, 0], [2, 0, 0, 0, 0]])
BATCH = Batch(SOURCE, TARGET, TARGET_OUT)


def gradients(stage, model):
    return {name: stage.numpy(p.grad).copy() for name, p in model.layer.named_parameters()}


def optimizer(stage, model, config):
    options = {"betas": config.betas, "weight_decay": config.weight_decay}
    return stage.get("AdamW")(model.layer.named_parameters(), **options)


def sentences(seed, n, longest):
    rng = np.random.default_rng(seed)
    return [rng.integers(3, 11, rng.integers(2, longest + 1)).tolist() for _ in range(n)]


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("norm_first", [True, False])
def test_loss_and_every_gradient_equal_torchs_cross_entropy(stage, rng, smoothing, norm_first):
    """PyTorch's loss with `ignore_index` over step02's logits, through plain autograd."""
    config = configuration(norm_first=norm_first)
    model = shaken(build(stage, config), rng)
    reference = build(Stage("step02_torch"), config).load(model.state()).layer
    logits = reference(torch.tensor(SOURCE), torch.tensor(TARGET)).transpose(1, 2)
    targets, options = torch.tensor(TARGET_OUT), {"ignore_index": 0, "label_smoothing": smoothing}
    expected = functional.cross_entropy(logits, targets, **options)
    expected.backward()
    loss, tokens = stage.get("loss_and_gradients")(model.layer, BATCH, smoothing=smoothing)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert tokens == (TARGET_OUT != 0).sum() == 9
    wanted = {name: p.grad.numpy() for name, p in reference.named_parameters()}
    assert_all_equal64(gradients(stage, model), wanted, "gradient of")


def test_earlier_gradients_are_forgotten(stage):
    model = build(stage, configuration())
    stage.get("loss_and_gradients")(model.layer, BATCH, smoothing=0.1)
    once = gradients(stage, model)
    stage.get("loss_and_gradients")(model.layer, BATCH, smoothing=0.1)
    assert_all_equal64(gradients(stage, model), once)


def test_more_padding_teaches_nothing(stage):
    model = build(stage, configuration())
    padded = Batch(*(np.pad(x, ((0, 0), (0, 3))) for x in BATCH))
    found = [stage.get("loss_and_gradients")(model.layer, BATCH, smoothing=0.1)]
    wanted = gradients(stage, model)
    found.append(stage.get("loss_and_gradients")(model.layer, padded, smoothing=0.1))
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    assert_all_equal64(gradients(stage, model), wanted)


@pytest.mark.parametrize("max_norm", [0.1, 1e3])
def test_one_update(stage, rng, max_norm):
    """Gradients, clipped at the norm that is reported, through AdamW at the schedule's rate."""
    config = TrainingConfig(warmup=10, peak_rate=0.02, max_norm=max_norm, weight_decay=0.1)
    model = build(stage, configuration())
    before = {name: x.copy() for name, x in model.state().items()}
    loss, _ = stage.get("loss_and_gradients")(model.layer, BATCH, smoothing=0.1)
    reference = {name: torch.nn.Parameter(torch.tensor(x)) for name, x in before.items()}
    for name, gradient in gradients(stage, model).items():
        reference[name].grad = torch.tensor(gradient)
    norm = torch.nn.utils.clip_grad_norm_(reference.values(), max_norm).item()
    torch.optim.AdamW(
        reference.values(), lr=3 * 0.02 / 10, betas=config.betas, eps=1e-9, weight_decay=0.1
    ).step()
    adamw = optimizer(stage, model, config)
    progress = stage.get("training_step")(model.layer, BATCH, adamw, config, step=3)
    assert progress == pytest.approx((3, loss, 9, 3 * 0.02 / 10, norm), rel=1e-12)
    assert progress._fields == ("step", "loss", "tokens", "rate", "norm")
    for name, weight in model.state().items():
        if not name.endswith("w_k.bias"):  # its gradient is rounding, which AdamW would enlarge
            assert_equal64(weight, reference[name].detach().numpy(), name)


def test_train_is_lazy_counts_on_and_switches_dropout_on(stage):
    config = TrainingConfig(warmup=10, steps=20)
    model = build(stage, configuration(dropout=0.3))
    model.layer.eval()
    asked = []

    def batches():
        while True:
            asked.append(1)
            yield BATCH

    adamw = optimizer(stage, model, config)
    updates = stage.get("train")(model.layer, batches(), adamw, config, first_step=7)
    assert not asked
    drawn = model.layer.rng.bit_generator.state
    found = [next(updates) for _ in range(3)]
    assert len(asked) == 3
    assert [progress.step for progress in found] == [8, 9, 10]
    rate = stage.get("learning_rate")
    assert [progress.rate for progress in found] == [rate(step, config) for step in (8, 9, 10)]
    assert model.layer.rng.bit_generator.state != drawn


def trace(stage, config, training, seed=3):
    """Train on mirrored sentences: weights, dropout and batches all come from one generator."""
    rng = np.random.default_rng(seed)
    model = stage.layer("Transformer", config, rng=rng)
    sources = sentences(5, 40, longest=7)
    batches = Batches(sources, [x[::-1] for x in sources], tokens_per_batch=60, rng=rng)
    updates = stage.get("train")(model.layer, batches, optimizer(stage, model, training), training)
    return list(islice(updates, training.steps)), model


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("norm_first", [True, pytest.param(False, marks=pytest.mark.proof)])
def test_two_hundred_updates_are_equal(norm_first):
    """Dropout, label smoothing, clipping and weight decay on: every loss agrees, so every weight does."""
    sizes = {"d_model": 16, "n_heads": 2, "d_ff": 24, "n_layers": 1, "max_positions": 12}
    config = configuration(**sizes, dropout=0.1, norm_first=norm_first)
    training = TrainingConfig(steps=200, warmup=40, peak_rate=5e-3, max_norm=1.0, label_smoothing=0.1)
    (ours, model), (theirs, other) = (
        trace(Stage(name), config, training) for name in ("step01_numpy", "step02_torch")
    )
    for a, b in zip(ours, theirs, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-9), f"update {a.step}"
        assert a.norm == pytest.approx(b.norm, rel=1e-6), f"update {a.step}"
        assert (a.step, a.tokens, a.rate) == (b.step, b.tokens, b.rate)
    clipped = np.mean([progress.norm > training.max_norm for progress in ours])
    assert 0.05 < clipped < 0.95  # clipping was at work, and not always
    assert np.mean([p.loss for p in ours[-10:]]) < np.mean([p.loss for p in ours[:10]]) - 0.5
    assert model.layer.rng.bit_generator.state == other.layer.rng.bit_generator.state


@pytest.mark.usefixtures("unchecked")  # for speed
def test_a_model_learns_to_copy(stage):
    """
    From some log 8 = 2.1 nats per token to under 0.15, and to copies of sentences never seen.

    The weights learned here then say the same tokens in another stage.
    """
    sizes = {"d_model": 32, "d_ff": 64, "n_layers": 1, "norm_first": False}
    training = TrainingConfig(steps=300, warmup=20, peak_rate=1e-2, label_smoothing=0.0)
    rng = np.random.default_rng(0)
    model = stage.layer("Transformer", configuration(**sizes), rng=rng, dtype="float32")
    known = sentences(5, 400, longest=5)
    batches = Batches(known, known, tokens_per_batch=200, rng=rng)
    adamw = optimizer(stage, model, training)
    losses = [p.loss for p in islice(stage.get("train")(model.layer, batches, adamw, training), 300)]
    assert losses[0] > 2
    assert np.mean(losses[-10:]) < 0.15
    new = [x for x in sentences(6, 60, longest=5) if x not in known]
    copies = translate(stage, model, new)
    assert np.mean([a == b for a, b in zip(copies, new, strict=True)]) > 0.9
    elsewhere = Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch")
    there = elsewhere.layer("Transformer", configuration(**sizes), dtype="float32").load(model.state())
    assert translate(elsewhere, there, new) == copies


def translate(stage, model, sources):
    model.layer.eval()
    source, _ = pad([[*x, EOS] for x in sources])
    cache = stage.get("start")(model.layer, stage.array(source))

    def step(tokens):
        return stage.numpy(stage.get("step")(model.layer, stage.array(tokens), cache))

    return greedy(step, len(sources), max_length=10)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["pre-norm", "dropout, post-norm"])
def test_training_continues_in_another_stage(stage, variant):
    """Three updates elsewhere, then weights, optimizer and generator handed over: equal to six elsewhere."""
    elsewhere = Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch")
    config, training = configuration(**VARIANTS[variant]), TrainingConfig(steps=6, warmup=2, max_norm=0.5)
    reference = reseeded(build(elsewhere, config))
    adamw = optimizer(elsewhere, reference, training)
    train = elsewhere.get("train")
    list(train(reference.layer, [BATCH] * 3, adamw, training))
    model = build(stage, config, seed=1).load(reference.state())
    model.layer.rng.bit_generator.state = reference.layer.rng.bit_generator.state
    continued = optimizer(stage, model, training)
    continued.load_state_dict({name: elsewhere.numpy(x) for name, x in adamw.state_dict().items()})
    expected = list(train(reference.layer, [BATCH] * 3, adamw, training, first_step=3))
    found = list(stage.get("train")(model.layer, [BATCH] * 3, continued, training, first_step=3))
    assert found == [pytest.approx(progress, rel=1e-9) for progress in expected]
    assert_all_equal64(model.state(), reference.state())


@pytest.mark.grid
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.usefixtures("cupy_double")
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_step01s_models_run_on_arrays_that_are_not_numpys(rng, variant, attention):
    """Forward, backward, an update and decoding, with step 1's attention and step 3's: none over the host."""
    import step01_numpy as stage

    config, training = configuration(**VARIANTS[variant]), TrainingConfig(warmup=2)
    attentions = stage.STANDARD, ATTENTIONS[attention]
    models = [stage.Transformer(config, attend=x, rng=np.random.default_rng(0)).double() for x in attentions]
    models[1].convert(DeviceArray)
    source, target = DeviceArray(SOURCE), DeviceArray(TARGET)
    logits, found = models[0](SOURCE, TARGET), models[1](source, target)
    assert_equal64(found.host, logits)
    d_logits = rng.normal(size=logits.shape)
    models[0].backward(d_logits)
    models[1].backward(DeviceArray(d_logits))
    pairs = list(zip(*(model.parameters() for model in models), strict=True))
    for expected, parameter in pairs:
        assert_equal64(parameter.grad.host, expected.grad)
    for model in models:
        adamw = stage.AdamW(model.named_parameters())
        stage.training_step(model, BATCH, adamw, training, step=1)
    for expected, parameter in pairs:
        assert_equal64(parameter.data.host, expected.data)
    rows, caches = np.array([2, 0, 0]), [stage.start(models[0], SOURCE), stage.start(models[1], source)]
    for cache, order in zip(caches, (rows, DeviceArray(rows)), strict=True):
        cache.reorder(order)
    expected = stage.step(models[0], TARGET[:, 0], caches[0])
    assert_equal64(stage.step(models[1], target[:, 0], caches[1]).host, expected)
