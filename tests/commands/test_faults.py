"""What a user or a file does wrong ends in one line and exit code 2, a signal in silence: no traceback."""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import step01_numpy
from step01_numpy.common.commands import command_line, context, lines, process, translate
from step01_numpy.common.commands.command_line import COMMANDS, available, main
from step01_numpy.common.training.checkpoints import load, save
from tests import hostile
from tests.pretrained import directories
from tests.tiny import CONFIG, tiny_checkpoint, write_corpus

ROOT = Path(__file__).parent.parent.parent
STAGES = ("step01_numpy", "step02_torch", "step03_gpu")
BASES = {  # a call of each command that ends soon, whatever stands in one of its places
    "tour": ["--model", "none", "x"],
    "explore": ["--model", "none"],
    "translate": ["--model", "none", "x"],
    "generate": ["--model", "none", "x"],
    "embed": ["--model", "none", "x"],
    "search": ["--model", "none", "--documents", "none", "x"],
    "train": ["--data", "none", "--out", "none"],
    "evaluate": ["--model", "none", "--data", "none"],
    "parity": ["--stage", "none"],
    "describe": ["--config", "gpt2"],
}
KINDS = {
    context.positive_integer: hostile.NUMBERS,
    context.natural_number: hostile.NUMBERS,
    context.positive_number: hostile.NUMBERS,
    context.file_name: hostile.NAMES,
    context.file_path: hostile.NAMES,
    context.utf8_text: hostile.TEXTS,
}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, unchecked):
    """Run a command in this process, which must end as the contract says; return code and error."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments, package=step01_numpy):
        code = main(package, [str(x) for x in arguments])
        err = capsys.readouterr().err
        errors = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert code in (0, 2), (arguments, err)
        assert len(errors) == (code == 2), (arguments, err)
        assert all("error: " in line and len(line) < 3000 for line in errors)
        return code, err

    return run_command


def options(command):
    """Yield each option of a command that takes a value, with the values that are to be tried."""
    parser = argparse.ArgumentParser()
    available([command])[command].add_arguments(parser)
    for action in parser._actions:
        name = action.option_strings[-1:]
        if action.type in KINDS:
            yield name, KINDS[action.type]
        elif action.nargs != 0 and not isinstance(action, argparse._HelpAction):
            yield name, hostile.TEXTS


def test_every_command_is_tried():
    assert set(BASES) == set(COMMANDS)


@pytest.mark.parametrize("command", BASES)
@pytest.mark.parametrize("share", [pytest.param(1, marks=pytest.mark.proof), 9])
def test_arguments(run, command, share):
    """One of nine values by default, other ones of each option."""
    for i, (name, values) in enumerate(options(command)):
        for value in values[i % share :: share]:
            run(command, *BASES[command], *([*name, value] if name else ["--", value]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--data", "x", "--out", "m", "--seed", "9" * 400],
            "…' is given; expected an integer of at",
        ),
        (
            ["train", "--data", "x", "--out", "m", "--steps", "9" * 5000],
            "…' is given; expected an integer of",
        ),
        (
            ["train", "--data", "x", "--out", "m", "--steps", 2**63],
            "expected an integer of at least 1 and below",
        ),
        (["train", "--data", "x", "--out", ""], "argument --out: '' is given; expected the name of a file"),
        (
            ["embed", "--model", "a\0b", "x"],
            r"argument --model: 'a\x00b' is given; expected the name of a file",
        ),
        (["translate", "\udce9t\udce9"], r"'\udce9t\udce9' is given; expected UTF-8 text"),
        (["describe", "--config", "gpt2", "a\nb"], "unrecognized arguments: a b (see"),
    ],
)
def test_what_is_said(run, arguments, said):
    code, err = run(*arguments)
    assert code == 2
    assert said in err


def test_utf8_where_the_locale_knows_ascii_alone(monkeypatch):
    typed = "été".encode().decode("ascii", "surrogateescape")
    assert context.utf8_text(typed) == "été"
    assert context.utf8_text("été") == "été"


# ---- files ------------------------------------------------------------------------------------------------

FILES = {
    "tour": [["--model"], ["--out"]],
    "explore": [["--model"], ["--out"]],
    "translate": [["--model"]],
    "generate": [["--model"]],
    "embed": [["--out", "--model"], ["--model"]],
    "search": [["--documents", "--model"], ["--model", "--documents"]],
    "train": [["--data", "--out"], ["--out", "--data"], ["--config", "--data", "--out"]],
    "evaluate": [["--model", "--data"], ["--data"]],
    "describe": [["--config"], ["--model"]],
}


@pytest.mark.parametrize("command", FILES)
def test_files(run, tmp_path, command):
    """A directory, a loop of links, a link to nothing, an empty file, bytes, a file as a folder."""
    wrong = hostile.files(tmp_path)
    write_corpus(tmp_path)
    good = {"--data": tmp_path, "--out": tmp_path / "out", "--documents": tmp_path / "train.en"}
    before = sorted(tmp_path.iterdir())
    for (option, *others), path in product(FILES[command], wrong):
        if option == "--out" and Path(path).name in ("empty", "bytes", "nowhere"):
            continue  # which may be replaced, or made
        rest = [x for name in others for x in (name, good.get(name, "none"))]
        code, _ = run(command, option, path, *rest, *(["x"] if command in ("translate", "embed") else []))
        assert code == 2, (option, path)
    assert sorted(tmp_path.iterdir()) == before


PLACES = [  # where there was a traceback once, and one of each kind of file
    ("sentences", "modules.json", (0, "path"), 1),
    ("sentences", "sentence_bert_config.json", ("max_seq_length",), "x"),
    ("sentences", "sentence_bert_config.json", ("max_seq_length",), 0),
    ("sentences", "tokenizer_config.json", ("do_lower_case",), 1),
    ("sentences", "config.json", ("hidden_size",), 10**400),
    ("sentences", "config.json", ("layer_norm_eps",), 10**400),
]
OTHERS = [
    ("bert", "tokenizer.json", ("model", "vocab"), {"x": 1}),
    ("gpt2", "vocab.json", ("Au",), 0),
    ("gpt2", "vocab.json", ("Au",), 2**32 - 1),
    ("gpt2", "config.json", ("vocab_size",), "300"),
    ("marian", "vocab.json", ("<pad>",), None),
    ("llama", "config.json", ("rope_parameters",), [1]),
]
PLACES += [pytest.param(case, marks=pytest.mark.proof) for case in OTHERS]  # whose models take long to make


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def use(directory):
    return [*directories.COMMAND[directory.name.split(".")[0]], "--model", directory]


@pytest.mark.parametrize("case", PLACES, ids=lambda x: "-".join(map(str, x))[:60])
def test_values_of_another_type(run, folder, case):
    name, file, place, value = case
    model = directories.write(folder / name)
    with directories.changed(model / file, place, value) as directory:
        code, err = run(*use(directory))
        assert code == 2
        assert name in err or "tokenizer" in err
    assert run(*use(model))[0] == 0


@pytest.mark.proof
@pytest.mark.parametrize("name", directories.COMMAND)
def test_values_of_any_type_anywhere(run, folder, name):
    """Every field of every file takes every value; what is no number where one belongs is no traceback."""
    for path in sorted(directories.write(folder / name).rglob("*.json")):
        places = list(hostile.places(json.loads(path.read_text(encoding="utf-8"))))
        for place, value in product(places[:30] + places[30:][-5:], [*hostile.VALUES[::2], hostile.DEEP]):
            with directories.changed(path, place, value) as directory:
                run(*use(directory))


@pytest.mark.proof
@pytest.mark.parametrize("name", directories.COMMAND)
def test_damaged_files(run, folder, name):
    model = directories.write(folder / name)
    for path in sorted(x for x in model.rglob("*") if x.is_file()):
        content = path.read_bytes()
        for damaged in (b"", content[: len(content) // 2], content[::-1], b"\xff\xfe" + content, bytes(100)):
            path.write_bytes(damaged)
            run(*use(model))
        path.unlink()
        for make in (path.mkdir, lambda path=path: path.symlink_to(path.name)):
            make()
            run(*use(model))
            path.rmdir() if path.is_dir() else path.unlink()
        path.write_bytes(content)


# ---- memory, and mistakes of our own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [MemoryError(), MemoryError("of 3 TiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_no_memory(run, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(translate, "run", fail)
    code, err = run("translate", "x")
    assert code == 2
    assert f"error: not enough memory{': ' * bool(str(error))}{error}\n" in err


@pytest.mark.parametrize("error", [TypeError("x"), RuntimeError("x"), KeyError("x"), AssertionError("x")])
def test_a_mistake_of_ours_is_not_hidden(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(translate, "run", fail)
    with pytest.raises(type(error)):
        main(step01_numpy, ["translate", "x"])


# ---- streams ----------------------------------------------------------------------------------------------


def test_what_was_read_before_a_fault_comes_first(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\nc\n\xe9\nd\n")))
    found = lines.chunks([], 2)
    assert [next(found), next(found)] == [["a", "b"], ["c"]]
    with pytest.raises(ValueError, match="line 4: byte 0xe9 is not UTF-8"):
        next(found)


def test_standard_error_that_nobody_reads():
    reader, writer = os.pipe()
    os.close(reader)
    with process.Aside(writer, "w") as stream:
        assert stream.write(b"progress") == 8
    stream = process.Output(os.open(os.devnull, os.O_RDONLY), "w")
    with pytest.raises(OSError, match="standard output") as told:
        stream.write(b"result")
    stream.close()
    assert told.value.filename == "standard output"


def shell(command, *arguments, **options):
    """Run a command of the shell, in which $PYTHON starts the program."""
    environment = {**os.environ, "PYTHON": f"{sys.executable} -m step01_numpy", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command, "sh", *arguments], capture_output=True, env=environment, **options
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


posix = pytest.mark.skipif(sys.platform == "win32", reason="shells and signals are POSIX")


@posix
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "$PYTHON describe --config gpt2 > /dev/full",
            "describe: error: standard output: No space left on device",
        ),
        pytest.param("$PYTHON --help > /dev/full", ": error: standard output", marks=pytest.mark.proof),
        pytest.param("$PYTHON describe --config gpt2 >&-", "standard output: Bad", marks=pytest.mark.proof),
        pytest.param("$PYTHON translate <&-", "standard input: Bad", marks=pytest.mark.proof),
        pytest.param("$PYTHON translate --beam 0 2>&-", "", marks=pytest.mark.proof),
        pytest.param("$PYTHON translate --beam 0 2>/dev/full", "", marks=pytest.mark.proof),
        pytest.param("$PYTHON train --data x --out / <&- >&- 2>&-", "", marks=pytest.mark.proof),
        pytest.param(r'$PYTHON translate "$(printf "\351")"', "expected UTF-8", marks=pytest.mark.proof),
        pytest.param("LC_ALL=C PYTHONUTF8=0 $PYTHON translate --model é x", "exist", marks=pytest.mark.proof),
    ],
)
def test_streams_at_fault(command, expected):
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == bool(expected)


@posix
def test_training_goes_on_without_streams(tmp_path):
    """And no checkpoint gets the number of a stream that is closed, into which a library might write."""
    write_corpus(tmp_path)
    (tmp_path / "config.json").write_text(CONFIG)
    command = "$PYTHON train --data . --out m --config config.json --steps 2 --save-every 1 <&- >&- 2>&-"
    assert shell(command, cwd=tmp_path) == (0, "", "")
    assert load(tmp_path / "m").training.step == 2


@posix
def test_closed_streams_are_opened(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    process.open_streams()
    print("lost", file=sys.stderr, flush=True)
    assert not process.has_output()
    with pytest.raises(OSError, match="Bad file descriptor"):
        next(lines.standard_input())
    with pytest.raises(OSError, match="standard output"):
        print("lost", flush=True)
    process.forget_output()
    sys.stdout.flush()


# ---- signals ----------------------------------------------------------------------------------------------


def heard():
    """What starts the tests in the background makes its children deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@posix
@pytest.mark.parametrize(
    "package", [pytest.param(x, marks=pytest.mark.proof) if "1" not in x else x for x in STAGES]
)
def test_ctrl_c_while_importing(tmp_path, package):
    (tmp_path / "jaxtyping.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, pipes = [sys.executable, "-m", package, "tour"], {"stdout": -1, "stderr": -1}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, preexec_fn=heard, **pipes) as child:
        assert child.stdout.readline() == b"here\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert child.stderr.read() == b""


def test_whoever_imports_a_stage_keeps_its_signals():
    assert signal.getsignal(signal.SIGINT) is not import_module("step01_numpy.common.support.interrupt").end
    assert not process.OURS


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.proof)]
)
def test_a_training_that_is_stopped(tmp_path, number, code):
    write_corpus(tmp_path)
    (tmp_path / "config.json").write_text(CONFIG)
    command = [sys.executable, "-m", "step01_numpy", "train", "--data", ".", "--out", "m", "--config"]
    command += ["config.json", "--steps", "1000000", "--save-every", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, preexec_fn=heard, stderr=-1) as child:
        while not (tmp_path / "m").exists():
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(number)
        assert child.wait(20) == code
        assert child.stderr.read() == b"stopped; m is as it was last saved, if it was\n"
    assert {x.name for x in tmp_path.iterdir()} == {"config.json", "m", "train.en", "train.fr"}
    assert all(np.isfinite(x).all() for x in load(tmp_path / "m").state.values())


def test_a_checkpoint_of_any_length(run, tmp_path):
    """Truncated anywhere, or with a header that is JSON of another kind."""
    save(tmp_path / "m", tiny_checkpoint())
    whole = (tmp_path / "m").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    headers = [
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"x": 1}',
        b'{"__metadata__": 1}',
        b'{"__metadata__": {"a": "b"}}',
    ]
    damaged = [x.ljust(size) for x in headers]
    damaged = [whole[:8] + x + whole[8 + size :] for x in damaged] + [whole[:n] for n in range(0, 20, 3)]
    for content in damaged:
        (tmp_path / "cut").write_bytes(content)
        for command in ("translate", "describe"):
            assert run(command, "--model", tmp_path / "cut", *(["x"] * (command == "translate")))[0] == 2
    assert command_line.USER_ERROR == 2
