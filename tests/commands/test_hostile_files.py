"""Nothing in silence: two trainings of one file, numbers that are not finite, other data, files that lie."""

import contextlib
import io
import json
import re
import time
import warnings

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from step01_numpy.common.support.files import claim
from step01_numpy.common.training.checkpoints import KEY, Checkpoint, load, save
from tests.commands.test_command_line import STAGES, arguments, data, refused, run  # noqa: F401  (fixtures)
from tests.commands.test_embed_commands import sentence_transformers
from tests.pretrained import hugging_face as hf
from tests.tiny import PAIRS, tiny_checkpoint, tiny_recurrent

DEEP = "[" * 100_000
HUGE = 2**31
LEARNED = {"architecture": "encoder", "positions": "learned", "n_segments": 2}


def rewrite(path, arrays=None, change=None):
    """Save a checkpoint as another program would: other arrays, or another text."""
    with safetensors.safe_open(path, framework="numpy") as file:
        text = file.metadata()[KEY]
    if change is not None:
        text = change(text)
    safetensors.numpy.save_file(arrays or safetensors.numpy.load_file(path), path, {KEY: text})


def without_checksum(text, **model):
    about = json.loads(text)
    del about["checksum"]
    about["model"] |= model
    return json.dumps(about)


# ---- one training for one file ----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_second_training_is_refused_before_it_reads_a_thing(refused, tmp_path, more):  # noqa: F811
    (tmp_path / "m").write_bytes(b"the first one's")
    with claim(tmp_path / "m"):
        line = refused("train", "--data", tmp_path / "nowhere", "--out", tmp_path / "m", *more)
        assert (tmp_path / "m").read_bytes() == b"the first one's"
    assert "m is held by process " in line


def test_a_training_leaves_its_file_and_no_other(run, data, tmp_path):  # noqa: F811
    for name in ("m.part", ".m.part", "m.lock", "m.tmp"):
        (tmp_path / name).write_bytes(b"mine")
    assert run(*arguments(data, tmp_path / "m", "--steps", 2, "--save-every", 1))[0] == 0
    assert sorted(x.name for x in tmp_path.iterdir()) == [".m.part", "m", "m.lock", "m.part", "m.tmp"]
    assert {x.read_bytes() for x in tmp_path.iterdir() if x.name != "m"} == {b"mine"}


# ---- numbers that are not finite --------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "value"), [("model", np.nan), ("model", -np.inf), ("optimizer", np.inf)])
def test_an_update_that_is_not_finite_leaves_the_last_good_file(
    refused,  # noqa: F811
    data,  # noqa: F811
    tmp_path,
    monkeypatch,
    value,
    owner,
):
    import step01_numpy

    def train(model, batches, optimizer, *args, _train=step01_numpy.train, **options):
        for progress in _train(model, batches, optimizer, *args, **options):
            if progress.step == 3:  # a weight that no loss shows: of a token that does not come
                array = (
                    model.embedding.weight.data if owner == "model" else optimizer.squares["embedding.weight"]
                )
                array[-1, 0] = value
            yield progress

    monkeypatch.setattr(step01_numpy, "train", train)
    line = refused(*arguments(data, tmp_path / "m", "--save-every", 1))
    name = "embedding.weight" if owner == "model" else "square.embedding.weight"
    assert f"m is not written: at step 3 {name} holds {value}; expected finite numbers; try a lower" in line
    assert load(tmp_path / "m").training.step == 2


@pytest.mark.parametrize(
    ("build", "value"), [(tiny_checkpoint, np.nan), (tiny_checkpoint, np.inf), (tiny_recurrent, -np.inf)]
)
def test_a_model_with_such_a_weight_is_not_opened(refused, tmp_path, value, build):  # noqa: F811
    save(tmp_path / "m", build())
    arrays = safetensors.numpy.load_file(tmp_path / "m")
    last = sorted(arrays)[-1]
    arrays[last].flat[-1] = value
    rewrite(tmp_path / "m", arrays, without_checksum)
    line = refused("translate", "--model", tmp_path / "m", "x")
    assert f"m: {last} holds {value}; expected finite numbers" in line
    with pytest.raises(ValueError, match="is not written"):
        save(tmp_path / "new", Checkpoint(arrays, build().config, build().tokenizer))
    assert not (tmp_path / "new").exists()


def saved(model, directory):
    """Save a model without transformers' progress bar."""
    with contextlib.redirect_stderr(io.StringIO()):
        return hf.save(model, directory)


@pytest.mark.parametrize(
    ("words", "build", "dtype"),
    [
        (("generate",), hf.gpt2, "float32"),
        (("translate",), hf.marian, "float16"),
        (("embed",), hf.bert, "bfloat16"),
        (("generate",), hf.gpt2, "float64"),
    ],
)
def test_a_published_model_with_such_a_weight_is_not_opened(refused, tmp_path, words, build, dtype):  # noqa: F811
    import torch

    model = build().to(getattr(torch, dtype))
    name, weight = next(model.named_parameters())
    weight.data.view(-1)[-1] = np.nan
    saved(model, tmp_path)
    line = refused(*words, "--model", tmp_path, "house")
    assert f"model.safetensors: {name} holds nan; expected finite numbers" in line


def too_large(architecture):
    """Finite weights whose logits are beyond float32."""
    found = tiny_checkpoint(architecture=architecture)
    last = "decoder.norm.weight" if architecture == "encoder_decoder" else "stack.norm.weight"
    return Checkpoint(found.state | {last: np.full(8, 3e38, np.float32)}, found.config, found.tokenizer)


@pytest.mark.parametrize("package", ["step01_numpy", pytest.param("step02_torch", marks=pytest.mark.proof)])
@pytest.mark.parametrize(
    ("words", "architecture"),
    [
        (("translate",), "encoder_decoder"),
        (("translate", "--beam", 3), "encoder_decoder"),
        (("generate",), "decoder"),
        (("generate", "--beam", 2), "decoder"),
        (("generate", "--temperature", 1, "--top-k", 3, "--top-p", 0.5), "decoder"),
        (("generate", "--json"), "decoder"),
        (("embed",), "decoder"),
        (("embed", "--json"), "decoder"),
        (("evaluate", "--data", "DATA"), "decoder"),
    ],
)
def test_what_is_computed_is_finite_or_refused(run, tmp_path, words, architecture, package):  # noqa: F811
    save(tmp_path / "m", too_large(architecture))
    (tmp_path / "text").write_text("They arrived late.\n")
    words = [tmp_path / "text" if word == "DATA" else word for word in words]
    text = [] if "evaluate" in words else ["They arrived late."]
    with np.errstate(all="ignore"):  # what NumPy warns of is a note elsewhere
        code, out, err = run(*words, "--model", tmp_path / "m", *text, package=package)
    assert (code, out.strip()) in [
        (2, ""),
        (2, "They arrived late."),
    ]  # the prompt, whose text comes as it is made
    assert len(err.splitlines()) == 1
    assert "finite number" in err


# ---- the data of a training -------------------------------------------------------------------------------


def lines(folder, order, name="train"):
    folder.mkdir(exist_ok=True)
    for side, language in enumerate(("en", "fr")):
        text = "".join(PAIRS[i][side] + "\n" for i in order)
        (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("task", ["transformer", "causal-lm"])
def test_the_same_data_in_another_order_are_other_data(run, refused, data, tmp_path, task):  # noqa: F811
    folder, out = lines(tmp_path / "data", [0, 1, 2, 3] * 3), tmp_path / "m"
    path = folder if task == "transformer" else folder / "train.en"
    config = ["--config", data / "config.json", "--model", task, "--steps", 1]
    assert run("train", "--data", path, "--out", out, *config)[0] == 0
    again = "train", "--data", path, "--out", out, "--resume", "--steps", 2
    for order in ([1, 0, 2, 3] * 3, [0, 1, 2, 3] * 2 + [3, 2, 1, 0]):
        lines(folder, order)
        assert "m was trained on other data, or in another order" in refused(*again)
    lines(folder, [0, 1, 2, 3] * 3)
    assert run(*again)[0] == 0
    assert load(out).training.step == 2


def test_a_change_that_no_count_shows_is_found(run, refused, data, tmp_path):  # noqa: F811
    folder, out = lines(tmp_path / "data", [0, 1, 2, 3]), tmp_path / "m"
    config = "--config", data / "config.json", "--steps", 1
    assert run("train", "--data", folder, "--out", out, *config)[0] == 0
    text = (folder / "train.fr").read_text(encoding="utf-8")
    (folder / "train.fr").write_text(text.replace("Elle voit la", "Elle la voit"), encoding="utf-8")
    line = refused("train", "--data", folder, "--out", out, "--resume", "--steps", 2)
    assert "was trained on other data" in line


def test_a_file_of_before_the_digest_goes_on_with_a_note(run, data, tmp_path):  # noqa: F811
    out = tmp_path / "m"
    assert run(*arguments(data, out, "--steps", 1))[0] == 0

    def older(text):
        about = json.loads(text)
        del about["training"]["data"], about["checksum"]
        return json.dumps(about)

    rewrite(out, change=older)
    with warnings.catch_warnings(action="default"):  # what here is an error is a note for a user
        code, _, err = run("train", "--data", data, "--out", out, "--resume", "--steps", 2)
    assert (code, err) == (
        0,
        f"note: {out} does not say what it was trained on; whether these are the same data is not checked\n",
    )
    assert load(out).training.data is not None


STATES_AT_FAULT = [
    {"step": "3"},
    {"step": -1},
    {"data": 3},
    {"batches": []},
    {"batches": {"position": 10**9}},
    {"batches": {"position": "0"}},
    {"batches": {"epoch": None}},
    {"batches": {"rng": 3}},
    {"batches": {"rng": {"bit_generator": "PCG64", "state": {"state": -1, "inc": "x"}}}},
    {"batches": {"epoch_start": {"bit_generator": "MT19937"}}},
]


def test_a_training_s_state_at_fault(run, refused, data, tmp_path):  # noqa: F811
    out, good = tmp_path / "m", tmp_path / "good"
    assert run(*arguments(data, good, "--steps", 1))[0] == 0
    for change in STATES_AT_FAULT:

        def changed(text, change=change):
            about = json.loads(text)
            del about["checksum"]
            for name, value in change.items():
                old = about["training"][name]
                about["training"][name] = old | value if isinstance(value, dict) else value
            return json.dumps(about)

        out.write_bytes(good.read_bytes())
        rewrite(out, change=changed)
        assert str(out) in refused("train", "--data", data, "--out", out, "--resume", "--steps", 2), change


# ---- files that lie ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def at_once():
    """A tenth of a second; imports, and a machine whose processors are shared, may take their time."""
    start = time.process_time()  # s
    yield
    assert time.process_time() - start < 5


@pytest.mark.parametrize("size", [10**6, HUGE, 2**62])
@pytest.mark.parametrize(
    ("build", "options", "names"),
    [
        (tiny_checkpoint, {}, ("vocab_size", "d_model", "d_ff", "n_layers", "n_heads")),
        (tiny_checkpoint, LEARNED, ("max_positions", "n_segments")),
        (tiny_recurrent, {}, ("vocab_size", "d_model", "d_hidden")),
    ],
)
def test_sizes_that_the_file_does_not_hold(tmp_path, build, options, names, size):
    save(tmp_path / "good", build(**options))
    for name in names:
        (tmp_path / "m").write_bytes((tmp_path / "good").read_bytes())
        more = {name: size} | ({"d_model": size} if name == "n_heads" else {})
        rewrite(tmp_path / "m", change=lambda text, more=more: without_checksum(text, **more))
        with at_once(), pytest.raises(ValueError, match="m is no checkpoint that this version can read: "):
            load(tmp_path / "m")


@pytest.mark.parametrize("name", ["d_model", "d_ff", "n_layers"])
def test_a_training_of_more_weights_than_this_machine_holds(refused, data, tmp_path, name):  # noqa: F811
    fields = json.loads((data / "config.json").read_text())
    fields["model"] |= {name: HUGE}
    (tmp_path / "c.json").write_text(json.dumps(fields))
    with at_once():
        line = refused("train", "--data", data, "--out", tmp_path / "m", "--config", tmp_path / "c.json")
    assert re.search(r"its weights take [\d,]+ GB; expected at most [\d,]+ GB", line)
    assert [x.name for x in tmp_path.iterdir()] == ["c.json"]


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "int64"])
def test_weights_that_are_no_floats(refused, tmp_path, dtype):  # noqa: F811
    save(tmp_path / "m", tiny_checkpoint())
    arrays = safetensors.numpy.load_file(tmp_path / "m")
    rewrite(tmp_path / "m", arrays | {"embedding.weight": arrays["embedding.weight"].astype(dtype)})
    line = refused("translate", "--model", tmp_path / "m", "x")
    assert f"embedding.weight is stored as {dtype}; expected a floating dtype" in line


@pytest.mark.parametrize("where", ["all", "model", "tokenizer"])
def test_a_checkpoint_whose_text_is_nested_too_deeply(refused, tmp_path, where):  # noqa: F811
    save(tmp_path / "m", tiny_checkpoint())
    for depth in (300, 900, 100_000):
        deep = "[" * depth + "]" * depth

        def change(text, deep=deep):
            return deep if where == "all" else f'{text[:-1]}, "{where}": {deep}}}'

        rewrite(tmp_path / "m", change=change)
        with at_once():
            assert "m is no checkpoint that this version can read" in refused(
                "translate", "--model", tmp_path / "m", "x"
            )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Directories of three kinds."""
    folder = tmp_path_factory.mktemp("published")
    found = {}
    for build, words in ((hf.gpt2, "generate"), (hf.marian, "translate"), (hf.bert, "embed")):
        found[words] = saved(build(), folder / words)
    sentence_transformers(found["embed"])
    return found


def files_of(published):
    return [(words, path) for words, x in published.items() for path in sorted(x.rglob("*.json"))]


def test_a_directory_with_a_file_nested_too_deeply(refused, published):  # noqa: F811
    checked = 0
    for words, path in files_of(published):
        good = path.read_bytes()
        path.write_text(DEEP)
        with at_once():
            line = refused(words, "--model", published[words], "house")
        path.write_bytes(good)
        assert path.name in line
        checked += 1
    assert checked >= 8


@pytest.mark.parametrize("size", [10**6, HUGE, 2**62])
def test_a_directory_with_sizes_that_its_file_does_not_hold(refused, published, size):  # noqa: F811
    names = {
        "generate": ("vocab_size", "n_embd", "n_layer", "n_positions", "n_inner"),
        "translate": ("vocab_size", "d_model", "encoder_layers", "encoder_ffn_dim", "num_beams"),
        "embed": ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "type_vocab_size"),
    }
    for words, name in ((words, name) for words, fields in names.items() for name in fields):
        path = published[words] / ("generation_config.json" if name == "num_beams" else "config.json")
        good = path.read_bytes()
        more = {name: size}
        for side in ("layers", "ffn_dim"):
            more |= {f"decoder_{side}": size, "num_hidden_layers": size} if name == f"encoder_{side}" else {}
        path.write_text(json.dumps(json.loads(good) | more))
        with at_once():
            line = refused(words, "--model", published[words], "house")
        assert f"{size}" in line or "weights; the file has" in line or "the largest size is" in line
        path.write_bytes(good)
