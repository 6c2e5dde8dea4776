"""Training and measuring language models from the command line, as for translation."""

import gzip
import json
from importlib import import_module

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from step01_numpy.common.inference.prediction import predict
from step01_numpy.common.text.batches import PAD
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import FAMILIES, KEY, load, save
from step01_numpy.common.training.configuration import RunConfig
from step01_numpy.common.training.tasks import CAUSAL, MASKED, TASKS
from tests.commands.test_command_line import STAGES, refused, run  # noqa: F401  (fixtures)
from tests.tiny import CONFIG, PAIRS, tiny_checkpoint, write_corpus

LANGUAGE_MODELS = ["masked-lm", "causal-lm"]
LINES = [text for pair in PAIRS for text in pair]
WHOLE = "masked-lm", "causal-lm", "transformer"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A directory with parallel data, a text and a configuration for small models of any task."""
    directory = tmp_path_factory.mktemp("data")
    (directory / "config.json").write_text(CONFIG)
    (directory / "text.gz").write_bytes(gzip.compress("\n\n".join(LINES).encode()))
    return write_corpus(directory)


@pytest.fixture(scope="module")
def models(data, tmp_path_factory):
    """A trained checkpoint of each language model."""
    from step01_numpy.common.commands.command_line import main

    directory = tmp_path_factory.mktemp("models")
    for name in LANGUAGE_MODELS:
        words = train(data, directory / name, "--model", name)
        assert main(import_module("step01_numpy"), [str(x) for x in words]) == 0
    return directory


def train(data, out, *more):
    text = data / "text.gz" if set(more) & set(LANGUAGE_MODELS) else data
    return ["train", "--data", text, "--out", out, "--config", data / "config.json", *more]


# ---- train ------------------------------------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("package", STAGES)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_killed_training_resumes_bit_for_bit(run, data, tmp_path, monkeypatch, package, name):  # noqa: F811
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    code, out, err = run(*train(data, straight, "--model", name), package=package)
    assert code == 0, err
    assert out.startswith("step 6 of 6, loss ")
    stage = import_module("step02_torch" if package == "step02_torch" else "step01_numpy")

    def killed(*args, _train=stage.train, **options):
        for progress in _train(*args, **options):
            if progress.step == 5:
                raise KeyboardInterrupt
            yield progress

    with monkeypatch.context() as patch:
        patch.setattr(stage, "train", killed)
        code, out, err = run(*train(data, stopped, "--model", name, "--save-every", 3), package=package)
    assert (code, out) == (130, "")
    assert load(stopped).training.step == 3
    again = ["train", "--data", data / "text.gz", "--out", stopped, "--resume", "--model", name]
    assert run(*again, package=package)[0] == 0
    assert stopped.read_bytes() == straight.read_bytes()


def test_what_is_trained(models):
    for name, task in (("masked-lm", MASKED), ("causal-lm", CAUSAL)):
        found = load(models / name)
        fields = json.loads(CONFIG)["model"]
        assert found.config == task.model_config(found.tokenizer.vocab_size, fields)
        assert found.config.family == "LanguageModel"
        assert found.tokenizer.has_mask == (name == "masked-lm")
        assert found.training.config.label_smoothing == 0


def test_the_default_is_translation(run, data, tmp_path):  # noqa: F811
    for path, more in ((tmp_path / "a", ()), (tmp_path / "b", ("--model", "transformer"))):
        assert run(*train(data, path, "--steps", 1, *more))[0] == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load(tmp_path / "a").config.family == "Transformer"


@pytest.mark.parametrize("score", ["general", "none"])
def test_recurrent_models(run, data, tmp_path, score):  # noqa: F811
    """Trained, stopped, resumed as all others; the score stands in the file."""
    config = json.loads(CONFIG) | {"model": {"d_model": 8, "d_hidden": 8, "max_positions": 24}}
    (tmp_path / "c.json").write_text(json.dumps(config))
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    words = ["train", "--data", data, "--config", tmp_path / "c.json", "--model", "recurrent"]
    words += ["--score", score, "--out"]
    assert run(*words, straight)[0] == 0
    assert run(*words, stopped, "--minutes", "1e-9")[0] == 0
    assert load(stopped).training.step == 1
    assert run("train", "--data", data, "--out", stopped, "--resume")[0] == 0
    assert stopped.read_bytes() == straight.read_bytes()
    found = load(stopped).config
    assert (found.family, found.score, found.d_hidden) == ("RecurrentTranslator", score, 8)
    assert run("translate", "--model", stopped, "They arrived late.")[0] == 0


def test_the_configuration_names_the_task(run, refused, data, tmp_path):  # noqa: F811
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"task": "causal-lm", **json.loads(CONFIG)}))
    words = ["train", "--data", data / "text.gz", "--out", tmp_path / "m", "--config", path, "--steps", 1]
    assert run(*words)[0] == 0
    assert load(tmp_path / "m").config.architecture == "decoder"
    assert run(*words, "--model", "causal-lm")[0] == 0
    line = refused(*words, "--model", "masked-lm")
    assert line.endswith("c.json: task is 'causal-lm'; expected 'masked-lm', or none in the file")


def test_the_embedded_text(run, data, tmp_path, monkeypatch):  # noqa: F811
    asked = []
    monkeypatch.setattr(
        "step01_numpy.common.text.plain.embedded_corpus", lambda: asked.append(1) or Splits(PAIRS)
    )
    for name in ("embedded", "embedded-both"):
        words = ["train", "--data", name, "--out", tmp_path / "m", "--config", data / "config.json"]
        assert run(*words, "--model", "causal-lm", "--steps", 1)[0] == 0
    assert len(asked) == 2
    assert load(tmp_path / "m").tokenizer.tokens([load(tmp_path / "m").tokenizer.encode("é")[-1]]) == ["é"]


class Splits:
    """A small corpus in the place of the embedded one."""

    def __init__(self, pairs):
        self.pairs = pairs

    def _asdict(self):
        return {"train": self.pairs, "held_out": self.pairs[:2]}


@pytest.mark.parametrize("package", STAGES)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_stages_train_the_same(run, data, tmp_path, package, name):  # noqa: F811
    """In float32 from the same draws: weights drift apart by rounding alone."""
    words = train(data, tmp_path / "m", "--model", name, "--steps", 3, "--json")
    reference = json.loads(run(*words)[1])
    found = json.loads(run(*words, package=package)[1])
    if package != "step02_torch":  # which draws its weights in its own way
        assert found["loss_nats_per_token"] == pytest.approx(reference["loss_nats_per_token"], rel=1e-4)
    assert found["step"] == 3
    assert 2 < found["loss_nats_per_token"] < 6


def test_help_tells_the_defaults(run):  # noqa: F811
    """What it shows is a configuration, and that of the code; and so is what it shows of each task."""
    out = run("train", "--help")[1]
    shown = out[out.index('{"task"') : out.index("\npositions:")]
    assert RunConfig.from_dict(json.loads(shown)).model_config(20) == RunConfig().model_config(20)
    assert RunConfig.from_dict(json.loads(shown)).training == RunConfig().training
    for name in ("recurrent", *LANGUAGE_MODELS):
        start = out.index(f"  {name} {{") + len(name) + 3
        shown, _ = json.JSONDecoder().raw_decode(" ".join(out[start:].split()))
        config = RunConfig.from_dict({"task": name})
        assert TASKS[name].fits(config.model_config(20))
        assert RunConfig.from_dict({"task": name, **shown}).model_config(20) == config.model_config(20)
        assert RunConfig.from_dict({**shown, "task": name}).training == config.training


# ---- train: mistakes --------------------------------------------------------------------------------------


def test_score_is_for_recurrent_models_alone(refused, data, tmp_path):  # noqa: F811
    for name in WHOLE:
        line = refused(*train(data, tmp_path / "m", "--model", name, "--score", "dot"))
        assert f"--score is given for {name}; expected it with --model recurrent alone" in line
    line = refused(*train(data, tmp_path / "m", "--score", "dance"))
    assert "argument --score: invalid choice: 'dance'" in line
    assert "invalid choice: 'poetry'" in refused(*train(data, tmp_path / "m", "--model", "poetry"))


def test_resume_another_task(refused, data, models):  # noqa: F811
    words = ["train", "--data", data / "text.gz", "--out", models / "causal-lm", "--resume"]
    before = (models / "causal-lm").read_bytes()
    line = refused(*words, "--model", "masked-lm")
    assert line.endswith("causal-lm holds a model of causal-lm; expected one of masked-lm")
    assert "--score is given with --resume" in refused(*words, "--score", "dot")
    assert (models / "causal-lm").read_bytes() == before


def test_resume_with_other_text(refused, data, models, tmp_path):  # noqa: F811
    (tmp_path / "text").write_text("They arrived late.")
    line = refused(
        "train", "--data", tmp_path / "text", "--out", models / "causal-lm", "--resume", "--steps", 9
    )
    assert "causal-lm does not fit: state is of batches with sequences " in line


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_text_at_fault(refused, data, tmp_path, name):  # noqa: F811
    def message(text):
        words = train(data, tmp_path / "m", "--model", name)
        return refused(*words[:2], text, *words[3:])

    assert "is a directory; expected a text file" in message(data)
    assert "no does not exist; expected a text file" in message(tmp_path / "no")
    (tmp_path / "text").write_bytes(b"One.\n\xe9t\xe9\n")
    assert "text, line 2: byte 0xe9 is not UTF-8" in message(tmp_path / "text")
    (tmp_path / "text").write_bytes(b"\n \n")
    assert "text has 2 lines, all blank" in message(tmp_path / "text")
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("unchecked")
def test_no_room_for_masks(refused, data, tmp_path):  # noqa: F811
    (tmp_path / "c.json").write_text('{"task": "masked-lm", "model": {"max_positions": 2}}')
    words = ["train", "--data", data / "text.gz", "--out", tmp_path / "m", "--config", tmp_path / "c.json"]
    assert "expected at least 3: <bos>, a token and <eos>" in refused(*words)


# ---- evaluate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", STAGES)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_evaluate(run, data, models, package, name):  # noqa: F811
    words = ["evaluate", "--model", models / name, "--data", data / "text.gz"]
    code, out, _ = run(*words, "--json", package=package)
    found = json.loads(out)
    assert (code, found["task"]) == (0, name)
    again = json.loads(run(*words, "--json")[1])
    for key in ("nats_per_token", "perplexity"):
        assert found[key] == pytest.approx(again[key], rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(found["nats_per_token"]))
    assert found["tokens"] == again["tokens"] > 0
    code, out, _ = run(*words, package=package)
    assert out.startswith(f"{found['nats_per_token']:.4f} nats/token, perplexity {found['perplexity']:.2f}, ")


def test_every_token_of_a_text_is_counted_once(run, data, models):  # noqa: F811
    found = json.loads(
        run("evaluate", "--model", models / "causal-lm", "--data", data / "text.gz", "--json")[1]
    )
    tokenizer = load(models / "causal-lm").tokenizer
    assert found["tokens"] == sum(len(tokenizer.encode(line)) + 1 for line in LINES)


def test_nats_per_token_by_definition(models):
    """Against log softmax of each window's logits alone, without batch and padding."""
    checkpoint, backend = load(models / "causal-lm"), Backend(import_module("step01_numpy"))
    model, rng = backend.load(checkpoint), np.random.default_rng(5)
    batches, _ = CAUSAL.batches(LINES, checkpoint.tokenizer, 7, tokens_per_batch=30, rng=rng)
    found, nats, right = predict(backend, model, batches), [], []
    for window in batches.sequences:
        tokens = np.array([window[:-1]])
        logits = backend.logits(model, tokens, tokens != PAD)[0].astype(np.float64)
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        nats += [-np.log(row[token]) for row, token in zip(p, window[1:], strict=True)]
        right += [row.argmax() == token for row, token in zip(p, window[1:], strict=True)]
    assert found["nats_per_token"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-5)
    assert found["accuracy_percent"] == pytest.approx(100 * np.mean(right), abs=0.01)
    assert found["tokens"] == len(nats)


def test_evaluate_the_embedded_text(run, refused, models, monkeypatch):  # noqa: F811
    monkeypatch.setattr("step01_numpy.common.text.plain.embedded_corpus", lambda: Splits(PAIRS))
    words = ["evaluate", "--model", models / "causal-lm", "--data", "embedded"]
    counts = [json.loads(run(*words, "--split", x, "--json")[1])["tokens"] for x in ("train", "held_out")]
    assert counts[1] < counts[0]
    assert "split is None; the embedded corpus has train, held_out" in refused(*words)


def test_options_of_other_models(refused, data, models):  # noqa: F811
    words = ["evaluate", "--model", models / "causal-lm", "--data", data / "text.gz"]
    assert "--lowercase is given for a language model" in refused(*words, "--lowercase")
    assert "--beam is given for a language model" in refused(*words, "--beam", 2)
    assert "split is 'test'; expected none" in refused(*words, "--split", "test")
    assert "--split is missing; expected one of" in refused("evaluate", "--data", data)
    line = refused("translate", "--model", models / "masked-lm", "They arrived late.")
    assert "expected one that translates" in line
    assert "expected one that translates" in refused("tour", "--model", models / "causal-lm")


# ---- checkpoints ------------------------------------------------------------------------------------------


def test_the_family_is_in_the_file_and_may_be_missing(tmp_path):
    path, checkpoint = tmp_path / "m", tiny_checkpoint()
    save(path, checkpoint)
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()[KEY])
    assert about["family"] == "Transformer"
    del about["checksum"]
    arrays = safetensors.numpy.load_file(path)

    def rewritten(**changes):
        changed = {name: x for name, x in (about | changes).items() if x is not None}
        safetensors.numpy.save_file(arrays, path, {KEY: json.dumps(changed)})
        return load(path).config

    assert rewritten(family=None) == checkpoint.config  # a file of version 0.1.0
    for family, message in (
        ("Mamba", f"family is 'Mamba'; expected one of {', '.join(FAMILIES)}"),
        ([], r"family is \[\]; expected one of"),
        ("LanguageModel", "its family is LanguageModel, its model's Transformer"),
        ("RecurrentTranslator", "RecurrentConfig has no field"),
    ):
        with pytest.raises(ValueError, match=f"is no checkpoint that this version can read: .*{message}"):
            rewritten(family=family)


FIRST_FIELDS = (
    "vocab_size d_model n_heads n_kv_heads d_ff n_layers dropout norm_first positions max_positions"
)


def test_a_file_of_before_there_were_families(tmp_path):
    """With the fields that the first models had, and nothing that was added to files since."""
    path, checkpoint = tmp_path / "m", tiny_checkpoint()
    save(path, checkpoint)
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()[KEY])
    first = {name: about["model"][name] for name in FIRST_FIELDS.split()}
    first = {"version": 1, "model": first, "tokenizer": about["tokenizer"]}
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, {KEY: json.dumps(first)})
    found = load(path)
    assert found.config == checkpoint.config
    assert (found.seen, found.training) == (None, None)
