"""The command line: results on stdout, a user's mistake in one line on stderr with exit code 2."""

import errno
import functools
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from step01_numpy.common.commands import lines, train, translate
from step01_numpy.common.commands.command_line import COMMANDS, available, main
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.parity import comparison as parity
from step01_numpy.common.pretrained.directory import Pretrained
from step01_numpy.common.pretrained.model_tokenizer import OwnTokenizer
from step01_numpy.common.text.parallel import table_split
from step01_numpy.common.text.tokenizer import EOS, PAD
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, load, save
from step01_numpy.common.training.configuration import read_configuration
from step01_numpy.common.training.trainer import Trainer
from tests.tiny import CONFIG, PAIRS, tiny_checkpoint, write_corpus

STAGES = {
    "step01_numpy": {},
    "step02_torch": {"below": ("step01_numpy",)},
    "step03_gpu": {"below": ("step01_numpy", "step02_torch"), "models": import_module("step01_numpy")},
}
ENGLISH = [english for english, _ in PAIRS]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save(path, tiny_checkpoint())
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    (directory / "config.json").write_text(CONFIG)
    write_corpus(directory, "test", 1)
    return write_corpus(directory)


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit code, stdout, stderr."""

    def run_command(*arguments, package="step01_numpy"):
        code = main(import_module(package), [str(x) for x in arguments], **STAGES[package])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def refused(run):
    """Run a command that must fail as a user's mistake, and return its one line."""

    def run_command(*arguments, package="step01_numpy"):
        code, out, err = run(*arguments, package=package)
        lines = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert code == 2, err
        assert out == ""
        assert len(lines) == 1, err
        assert lines[0].startswith(f"python -m {package}")
        assert "error: " in lines[0]
        return lines[0]

    return run_command


def stdin(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def expected_translations(lines, beam=1):
    return [translated_alone(line, beam) for line in lines]


@functools.cache
def translated_alone(line, beam):
    """Translate without padding and neighbours."""
    backend, checkpoint = Backend(import_module("step01_numpy")), tiny_checkpoint()
    tokenizer = OwnTokenizer(checkpoint.tokenizer, "encoder_decoder")
    opened = Pretrained(backend.load(checkpoint), checkpoint.config, tokenizer)
    return Translator(backend, opened, beam=beam).translate([line])[0]


# ---- translate --------------------------------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("package", STAGES)
@pytest.mark.parametrize("beam", [1, 3])
def test_translate_gives_a_line_for_a_line(run, model, package, beam):
    lines = [ENGLISH[3], "", ENGLISH[0], "  ", ENGLISH[1]]
    code, out, _ = run("translate", "--model", model, "--beam", beam, *lines, package=package)
    assert code == 0
    assert out == "".join(line + "\n" for line in expected_translations(lines, beam))
    assert out.splitlines()[1] == ""
    assert out.splitlines()[0] != ""


def said(err):
    """Return standard error without the notes on translations: a model of random weights writes nonsense."""
    return "".join(line for line in err.splitlines(True) if " may be wrong: " not in line)


def test_translate_reads_standard_input(run, model, monkeypatch):
    stdin(monkeypatch, ("\ufeff" + ENGLISH[0] + "\r\n\n" + ENGLISH[1]).encode())
    expected = expected_translations([ENGLISH[0], "", ENGLISH[1]])
    code, out, err = run("translate", "--model", model)
    assert (code, out, said(err)) == (0, "".join(x + "\n" for x in expected), "")


def test_lines_of_standard_input(monkeypatch):
    stdin(monkeypatch, "\ufeffun\r\n\n\u2028deux\ufeff\ntrois".encode())
    assert list(lines.standard_input()) == ["un", "", "\u2028deux\ufeff", "trois"]


def test_translate_nothing(run, model, monkeypatch):
    stdin(monkeypatch, b"")
    assert run("translate", "--model", model) == (0, "", "")


@pytest.mark.parametrize("package", STAGES)
def test_models_use_the_attention_of_the_stage(package):
    stage = import_module(package)
    model = Backend(stage, STAGES[package].get("models")).load(tiny_checkpoint())
    assert model.encoder.blocks[0].self_attention.attend is stage.STANDARD


def test_the_model_reads_every_token_and_the_end(run, model, monkeypatch):
    sources, start = [], Backend.start
    monkeypatch.setattr(Backend, "start", lambda *x: (sources.append(x[2]), start(*x))[1])
    run("translate", "--model", model, ENGLISH[0], ENGLISH[1])
    tokenizer = tiny_checkpoint().tokenizer
    expected = sorted(([*tokenizer.encode(line), EOS] for line in ENGLISH[:2]), key=len)
    (batch,) = sources
    assert [[t for t in row if t != PAD] for row in batch.tolist()] == expected


def test_many_lines_come_back_in_order(run, model, monkeypatch):
    monkeypatch.setattr(translate, "LINES", 7)  # read at once
    lines = [ENGLISH[i % 4] for i in range(17)]
    stdin(monkeypatch, "\n".join(lines).encode())
    assert run("translate", "--model", model)[1].splitlines() == expected_translations(lines)


def test_broken_utf8_on_standard_input(run, model, monkeypatch):
    """Ends the work, but what stands before it in the same chunk is translated."""
    stdin(monkeypatch, ENGLISH[0].encode() + b"\n\xe9t\xe9\n" + ENGLISH[1].encode())
    code, out, err = run("translate", "--model", model)
    assert (code, out) == (2, expected_translations(ENGLISH[:1])[0] + "\n")
    assert err.endswith("standard input, line 2: byte 0xe9 is not UTF-8; expected UTF-8 text\n")
    assert said(err).count("\n") == 1


@pytest.mark.parametrize("at_once", [2, 256])
def test_a_line_too_long_does_not_take_others_with_it(run, model, monkeypatch, at_once):
    monkeypatch.setattr(translate, "LINES", at_once)
    long = "house " * 40
    code, out, err = run("translate", "--model", model, ENGLISH[0], long, ENGLISH[1], "", long, ENGLISH[2])
    assert code == 2
    expected = expected_translations(ENGLISH[:3])
    assert out == f"{expected[0]}\n\n{expected[1]}\n\n\n{expected[2]}\n"
    assert said(err).count("\n") == 1
    assert "error: line 2 has 41 tokens, <eos> included; expected at most 24, the model's max_pos" in err
    assert err.endswith("; at fault too: 5; an empty line stands in its place\n")


@pytest.mark.parametrize("beam", ["0", "-1", "x", "1.5"])
def test_bad_beam(refused, model, beam):
    assert f"{beam!r} is given; expected an integer of at least 1" in refused(
        "translate", f"--beam={beam}", "x"
    )


# ---- models at fault --------------------------------------------------------------------------------------


def test_missing_model(refused, tmp_path):
    assert "none.safetensors does not exist" in refused(
        "translate", "--model", tmp_path / "none.safetensors", "x"
    )


def test_truncated_model(refused, model, data, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(model).read_bytes()[:-10])
    for command in (["translate", "x"], ["tour", "x"], ["evaluate", "--data", data, "--split", "train"]):
        line = refused(*command, "--model", path)
        assert "cut.safetensors is truncated or no safetensors file" in line


def test_model_that_is_a_text(refused, tmp_path):
    (tmp_path / "text").write_text("Bonjour.\n" * 20)
    assert "text is truncated or no safetensors file" in refused(
        "translate", "--model", tmp_path / "text", "x"
    )
    assert "has no config.json; expected the directory of a model" in refused(
        "translate", "--model", tmp_path, "x"
    )


@pytest.mark.parametrize("package", STAGES)
def test_model_of_other_weights(refused, tmp_path, package):
    good, path = tiny_checkpoint(), tmp_path / "model"
    state = dict(list(good.state.items())[1:])
    save(path, Checkpoint(state, good.config, good.tokenizer))
    line = refused("translate", "--model", path, "x", package=package)
    assert "model does not hold the weights of its model: state has missing names" in line


def test_missing_library(refused, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "needs the library tokenizers: pip install" in refused("translate", "--model", model, "x")


@pytest.mark.usefixtures("few_cases")
def test_missing_torch(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "step02_torch"]:
        monkeypatch.delitem(sys.modules, name)
    line = refused("parity", package="step03_gpu")
    assert line.endswith('this needs the package torch: pip install "attention-step-by-step[torch]"')


# ---- train ------------------------------------------------------------------------------------------------


def arguments(data, out, *more):
    return ["train", "--data", data, "--out", out, "--config", data / "config.json", *more]


@pytest.mark.parametrize("package", STAGES)
def test_a_killed_training_resumes_bit_for_bit(run, data, tmp_path, monkeypatch, package):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    code, out, err = run(*arguments(data, straight), package=package)
    assert code == 0, err
    assert out.startswith("step 6 of 6, loss ")
    models = import_module("step02_torch" if package == "step02_torch" else "step01_numpy")

    def train(*args, _train=models.train, **options):
        for progress in _train(*args, **options):
            if progress.step == 5:
                raise KeyboardInterrupt
            yield progress

    with monkeypatch.context() as patch:
        patch.setattr(models, "train", train)
        code, out, err = run(*arguments(data, stopped, "--save-every", 3), package=package)
    assert (code, out) == (130, "")
    assert load(stopped).training.step == 3
    assert run("train", "--data", data, "--out", stopped, "--resume", package=package)[0] == 0
    assert stopped.read_bytes() == straight.read_bytes()


COURSE = '{"training": {"steps": 4, "warmup": 1, "peak_rate": 1e-9, "tokens_per_batch": 100, "seed": 5}}'


@pytest.mark.parametrize("package", STAGES)
def test_a_training_starts_from_anothers_weights_and_vocabulary(run, data, tmp_path, package):
    """With next to no learning the weights stay those of the first; words of either training are known."""
    first, further = tmp_path / "first", tmp_path / "further"
    assert run(*arguments(data, first, "--slim"), package=package)[0] == 0
    (tmp_path / "course.json").write_text(COURSE)
    (tmp_path / "pairs.txt").write_text("A zebra sleeps!\tUn zèbre dort !\n" * 4, encoding="utf-8")
    words = [
        "train",
        "--data",
        tmp_path / "pairs.txt",
        "--out",
        further,
        "--config",
        tmp_path / "course.json",
    ]
    code, _, err = run(*words, "--start-from", first, package=package)
    assert code == 0, err
    begun, found = load(first), load(further)
    assert found.config == begun.config
    assert found.tokenizer.to_json() == begun.tokenizer.to_json()
    for name, weight in begun.state.items():
        assert np.allclose(found.state[name], weight, atol=1e-7), name
    assert found.training.step == 4
    assert found.seen.count("zebra") == 4
    known = next(word for word in found.seen.counts.split() if begun.seen.count(word))
    assert found.seen.count(known) == begun.seen.count(known)


def test_what_a_training_cannot_start_from(run, refused, data, tmp_path):
    first, out = tmp_path / "first", tmp_path / "m"
    assert run(*arguments(data, first, "--steps", 1))[0] == 0
    line = refused(*arguments(data, out, "--start-from", first))
    assert "the configuration shapes a model or a tokenizer; expected training alone" in line
    line = refused("train", "--data", data, "--out", out, "--start-from", first, "--model", "recurrent")
    assert "the checkpoint to start from is of transformer; expected one of recurrent" in line
    line = refused("train", "--data", data, "--out", out, "--start-from", tmp_path / "none")
    assert "none does not exist; expected a checkpoint" in line
    line = refused("train", "--data", data, "--out", first, "--resume", "--start-from", first)
    assert "--start-from is given with --resume" in line
    assert not out.exists()


def test_training_depends_on_the_seed(run, data, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run(*arguments(data, tmp_path / name, "--steps", 2, "--seed", seed))[0] == 0
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert contents[0] == contents[1] != contents[2]


def test_train_result_as_json(run, data, tmp_path):
    code, out, err = run(*arguments(data, tmp_path / "m", "--steps", 2, "--slim", "--json"))
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert (result["step"], result["steps"]) == (2, 2)
    assert 2 < result["loss_nats_per_token"] < 8
    assert result["target_tokens_per_second"] > 0
    assert load(tmp_path / "m").training is None


def test_training_without_a_terminal_reports_on_stderr(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "REPORT_SECONDS", 0)  # instead of one line a minute, one an update
    code, out, err = run(*arguments(data, tmp_path / "m", "--steps", 3))
    assert (code, out.count("\n")) == (0, 1)
    steps = [line.split(": ")[0] for line in err.splitlines()]
    assert steps == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert all(re.fullmatch(r"step . of 3: \d\.\d{3} nats/token, \d+ tokens/s", x) for x in err.splitlines())


def test_minutes_stop_early_and_leave_the_schedule_alone(run, data, tmp_path):
    assert run(*arguments(data, tmp_path / "m", "--minutes", "1e-9"))[0] == 0
    training = load(tmp_path / "m").training
    assert (training.step, training.config.steps) == (1, 6)


def test_pairs_too_long_are_left_out_and_counted(run, data, tmp_path):
    for language in ("en", "fr"):
        lines = (data / f"train.{language}").read_text(encoding="utf-8")
        (tmp_path / f"train.{language}").write_text(lines + "house " * 99 + "\n", encoding="utf-8")
    (tmp_path / "config.json").write_text(CONFIG)
    code, _, err = run(*arguments(tmp_path, tmp_path / "m"))
    assert (code, err) == (0, "note: 1 pairs are too long for the model and left out\n")


def test_slim_files_in_float16_translate_as_their_model_does(run, data, tmp_path):
    full, half = tmp_path / "full", tmp_path / "half"
    for path, more in ((full, ["--slim"]), (half, ["--slim", "float16"])):
        assert run(*arguments(data, path, *more))[0] == 0
    exact, rounded = load(full), load(half)
    assert {x.dtype.name for x in rounded.state.values()} == {"float16"}
    for name, x in exact.state.items():
        np.testing.assert_array_equal(rounded.state[name], x.astype(np.float16))
    weights = Backend(import_module("step01_numpy")).load(rounded).state_dict()
    assert {x.dtype.name for x in weights.values()} == {"float32"}  # stored small, computed in float32
    assert run("translate", "--model", half, ENGLISH[0])[0] == 0


@pytest.mark.parametrize(("value", "said"), [(7e4, r"7e\+04"), (np.nan, "nan")])
def test_weights_beyond_float16_are_not_written(data, tmp_path, value, said):
    config, backend = read_configuration(data / "config.json"), Backend(import_module("step01_numpy"))
    trainer = Trainer.new(backend, data, config)
    next(iter(trainer.model.parameters())).data[0, 0] = value
    with pytest.raises(ValueError, match=f"has a weight of size {said}; expected none beyond float16's"):
        trainer.save(tmp_path / "m", slim="float16")
    assert not (tmp_path / "m").exists()


def test_slim_files_do_not_resume(run, refused, data, tmp_path):
    run(*arguments(data, tmp_path / "m", "--slim"))
    line = refused("train", "--data", data, "--out", tmp_path / "m", "--resume")
    assert "m was saved slim, without the state of its training" in line


def test_resume_with_other_data(run, refused, data, tmp_path):
    run(*arguments(data, tmp_path / "m", "--steps", 1))
    before = (tmp_path / "m").read_bytes()
    other = write_corpus(tmp_path, repeat=2)
    line = refused("train", "--data", other, "--out", tmp_path / "m", "--resume", "--steps", 2)
    assert "m does not fit: state is of batches with pairs 12; expected 8" in line
    assert (tmp_path / "m").read_bytes() == before


def test_resume_takes_no_configuration(refused, data, tmp_path):
    assert "--config is given with --resume" in refused(*arguments(data, tmp_path / "m", "--resume"))


def test_resume_without_a_checkpoint(refused, data, tmp_path):
    line = refused("train", "--data", data, "--out", tmp_path / "m", "--resume")
    assert "m does not exist; expected a checkpoint" in line


def test_unwritable_path_is_refused_before_training(refused, data, tmp_path, monkeypatch):
    monkeypatch.setattr("step01_numpy.common.commands.train.Trainer.new", None)  # must not be reached
    assert refused(*arguments(data, tmp_path / "no" / "m")).endswith("m: No such file or directory")
    assert "is no regular file" in refused(*arguments(data, tmp_path))


def test_no_space_left(refused, data, tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert refused(*arguments(data, tmp_path / "m")).endswith("m: No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite(refused, data, tmp_path, monkeypatch):
    models = import_module("step01_numpy")

    def train(*args, _train=models.train, **options):
        for progress in _train(*args, **options):
            yield progress._replace(loss=float("nan"))

    monkeypatch.setattr(models, "train", train)
    assert "the loss is nan at step 1" in refused(*arguments(data, tmp_path / "m"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--steps", "0"], "'0' is given; expected an integer of at least 1"),
        (["--minutes", "nan"], "'nan' is given; expected a number above 0"),
        (["--minutes", "-3"], "'-3' is given; expected a number above 0"),
        (["--seed", "-1"], "'-1' is given; expected an integer of at least 0"),
        (["--steps", "2", "--minutes", "2"], "not allowed with"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_numbers(refused, data, tmp_path, more, message):
    assert message in refused(*arguments(data, tmp_path / "m", *more))


@pytest.mark.usefixtures("unchecked")
def test_bad_configuration(refused, data, tmp_path):
    (tmp_path / "c.json").write_text('{"model": {"n_heads": 3}}')
    line = refused("train", "--data", data, "--out", tmp_path / "m", "--config", tmp_path / "c.json")
    assert line.endswith("c.json: n_heads is 3, which does not divide d_model 128")
    line = refused("train", "--data", data, "--out", tmp_path / "m", "--config", tmp_path / "none.json")
    assert line.endswith("none.json: No such file or directory")


# ---- data at fault ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_bad_data(refused, data, model, tmp_path, command):
    def message():
        if command == "train":
            return refused("train", "--data", tmp_path, "--out", tmp_path / "m", "--steps", 1)
        return refused("evaluate", "--model", model, "--data", tmp_path, "--split", "train")

    assert "lacks train.en or train.fr" in message()
    (tmp_path / "train.en").write_text("One.\nTwo.\n")
    (tmp_path / "train.fr").write_text("Un.\n")
    assert "train.en has 2 lines and" in message()
    (tmp_path / "train.fr").write_bytes(b"Un.\nD\xe9ux.\n")
    assert "train.fr, line 2: byte 0xe9 is not UTF-8" in message()
    (tmp_path / "train.fr").write_bytes(b"")
    assert "train.fr is empty" in message()
    assert not (tmp_path / "m").exists()


def test_missing_data(refused, model, tmp_path):
    line = refused("evaluate", "--model", model, "--data", tmp_path / "no", "--split", "test")
    assert "no does not exist; expected" in line


# ---- evaluate and parity ----------------------------------------------------------------------------------


def perfect(monkeypatch, changes=()):
    known = dict(PAIRS) | dict(changes)
    monkeypatch.setattr(Translator, "translate", lambda self, lines, **_: [known[x] for x in lines])


def test_evaluate(run, model, data, monkeypatch):
    perfect(monkeypatch)
    code, out, err = run("evaluate", "--model", model, "--data", data, "--split", "test")
    assert (code, err) == (0, "")
    assert out.startswith("BLEU 100.00  (nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "exact 100.00 %  (4 of 4 sentences, 4 references)" in out


def test_evaluate_with_all_references_of_a_sentence(run, model, tmp_path, monkeypatch):
    english = [f"Sentence {n}." for n in range(200) if table_split(f"Sentence {n}.") == "test"]
    table = tmp_path / "fra.txt"
    lines = (
        f"{x}\t{x} a\n{x}\t{x}\u202fc\u2019est b\nOne more.\tUn.\n" for x in english
    )  # as typographers have it
    table.write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(Translator, "translate", lambda self, lines, **_: [f"{x} c'est b" for x in lines])
    options = ["--model", model, "--data", table, "--split", "test"]
    result = json.loads(run("evaluate", *options, "--json")[1])
    assert (result["sentences"], result["references"]) == (len(english), 2 * len(english))
    assert (result["exact"], result["bleu"], result["chrf"]) == (len(english), 100, 100)
    assert result["signature"].startswith("nrefs:2|")
    assert "\nchrF 100.00  (nrefs:2|" in run("evaluate", *options)[1]


def test_evaluate_without_a_split_lists_them(refused, model, data, tmp_path):
    evaluate = "evaluate", "--model", model, "--data"
    assert f"--split is missing; expected one of {data}'s: test, train" in refused(*evaluate, data)
    assert "expected one of embedded's: train, validation, held_out" in refused(*evaluate, "embedded")
    table = tmp_path / "table.tsv"
    table.write_text("Hello.\tBonjour.\n")
    assert "table.tsv's: train, validation, test" in refused(*evaluate, table)
    assert "nowhere does not exist; expected" in refused(*evaluate, tmp_path / "nowhere")


def test_evaluate_finds_mistakes(run, model, data, monkeypatch):
    perfect(monkeypatch, {ENGLISH[0]: "ILS SONT ARRIVÉS TARD.", ENGLISH[1]: "Elle voit une maison."})
    results = []
    for more in ([], ["--lowercase"]):
        options = ["--model", model, "--data", data, "--split", "test", "--json", *more]
        results.append(json.loads(run("evaluate", *options)[1]))
    assert [x["exact_percent"] for x in results] == [50.0, 75.0]
    assert 20 < results[0]["bleu"] < results[1]["bleu"] < 100
    assert "case:lc" in results[1]["signature"]


@pytest.mark.parametrize("package", STAGES)
def test_evaluate_in_every_stage(run, model, data, package):
    options = ["--model", model, "--data", data, "--split", "test", "--json", "--beam", 2]
    code, out, _ = run("evaluate", *options, package=package)
    assert (code, json.loads(out)["sentences"]) == (0, 4)


@pytest.fixture
def few_cases(monkeypatch):
    """What is compared is the matter of test_parity; here it is the command."""
    chosen = [case for case in parity.CASES if case.operation in ("softmax", "self-attention")]
    monkeypatch.setattr(parity, "CASES", chosen)


@pytest.mark.usefixtures("few_cases")
@pytest.mark.parametrize("package", STAGES)
def test_parity(run, package):
    code, out, _ = run("parity", package=package)
    assert code == 0
    assert out.splitlines()[-1].startswith("all ")
    assert "self-attention" in out


def test_parity_as_json(run, few_cases):
    code, out, _ = run("parity", "--json", package="step03_gpu")
    rows = json.loads(out)
    assert code == 0
    assert {row["reference"] for row in rows} == {"step01_numpy", "step02_torch"}
    assert all(row["passed"] for row in rows)


def test_parity_tells_a_difference(run, few_cases, monkeypatch):
    import step02_torch

    monkeypatch.setattr(step02_torch, "softmax", lambda x: x * float("nan"))
    code, out, _ = run("parity", package="step02_torch")
    assert code == 1
    assert "inf !" in out
    assert (
        "1 of 2 are out of tolerance, raised or missing (!): softmax (step02_torch)" in out.splitlines()[-1]
    )
    code, out, _ = run("parity", "--json", package="step02_torch")
    assert code == 1
    assert json.loads(out)[0]["forward"]["difference"] == "inf"
    assert json.loads(out)[0]["forward"]["came"] == "nan"


# ---- the program as a whole -------------------------------------------------------------------------------


def program(*arguments, **options):
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


@pytest.mark.parametrize("package", STAGES)
@pytest.mark.parametrize("command", ["tour", "translate", "train", "evaluate", "parity"])
def test_help(run, package, command):
    code, out, err = run(command, "--help", package=package)
    assert (code, err) == (0, "")
    assert f"python -m {package} {command}" in out
    assert "examples:" in out
    assert "{" not in out or command == "train"


def test_no_command(refused):
    assert "the following arguments are required: COMMAND" in refused()
    assert "invalid choice: 'dance'" in refused("dance")


@pytest.mark.parametrize("package", STAGES)
def test_as_a_program(package, model):
    done = program(package, "translate", "--model", model, input=b"They arrived late.\n")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == expected_translations([ENGLISH[0]])
    told = said(done.stderr.decode())
    assert told == "" or (package == "step03_gpu" and told.count("\n") == 1)


def test_a_command_brings_in_no_other():
    """Importing all of them takes a tenth of the time of a short translation."""
    assert list(available(["describe", "--help"])) == ["describe"]
    assert list(available(["--help"])) == list(available([])) == list(COMMANDS)
    script = (
        "import sys, step01_numpy; from step01_numpy.common.commands.command_line import main\n"
        "main(step01_numpy, ['describe', '--config', 'gpt2'])\n"
        "print(*sorted(x.rpartition('.')[2] for x in sys.modules if '.commands.' in x))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, text=True)
    assert done.stdout.splitlines()[-1] == "command_line context describe process", done.stderr


def test_an_error_as_a_program(tmp_path):
    done = program("step01_numpy", "translate", "--model", tmp_path / "none", "x")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
def test_stopped_by_ctrl_c_and_by_a_broken_pipe(model):
    command = [sys.executable, "-m", "step01_numpy", "translate", "--model", model]

    def listen():  # what starts the tests in the background makes its children deaf to SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, preexec_fn=listen) as child:
        child.stdin.write(b"They arrived late.\n" * 256)
        child.stdin.flush()
        assert child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert b"Traceback" not in child.stderr.read()
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1) as child:
        child.stdout.close()
        child.stdin.write(b"They arrived late.\n" * 256)
        child.stdin.close()
        assert child.wait(20) == 141
        assert said(child.stderr.read().decode()) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
def test_a_file_that_may_not_grow(data, tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    (tmp_path / "m").write_bytes(b"old")
    done = program("step01_numpy", *arguments(data, tmp_path / "m", "--steps", 1), preexec_fn=limit)
    assert done.returncode == 2
    assert done.stderr.decode().endswith("m: File too large\n")
    assert [x.read_bytes() for x in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
def test_a_kill_at_any_moment_leaves_a_good_checkpoint(data, tmp_path):
    path = tmp_path / "m"
    command = [sys.executable, "-m", "step01_numpy"]
    command += map(str, arguments(data, path, "--steps", 10**6, "--save-every", 1))
    for delay in (0.05, 0.21):
        path.unlink(missing_ok=True)
        with subprocess.Popen(command) as child:
            while not path.exists():
                assert child.poll() is None
                time.sleep(0.01)
            time.sleep(delay)
            child.kill()
        found = load(path)
        assert found.training.step >= 1
        assert all(np.isfinite(x).all() for x in found.state.values())
