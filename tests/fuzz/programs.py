"""Hostile command lines, configurations, checkpoints, directories and texts."""

import contextlib
import functools
import io
import json
import tempfile
from pathlib import Path

from hypothesis import strategies as st

import step01_numpy
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support.json_text import parse
from step01_numpy.common.text.parallel import read_parallel
from step01_numpy.common.text.plain import read_text
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.checkpoints import save
from step01_numpy.common.training.configuration import RunConfig, read_configuration
from tests import hostile
from tests.pretrained import directories
from tests.tiny import CONFIG, tiny_checkpoint

OPTIONS = [f"--{x}" for x in ("model", "out", "data", "documents", "config", "steps", "seed", "minutes")]
OPTIONS += [f"--{x}" for x in ("save-every", "beam", "top", "top-k", "top-p", "temperature", "max-tokens")]
OPTIONS += [f"--{x}" for x in ("context", "split", "score", "slim", "json", "lowercase")]
KINDS = ("sentences", "gpt2", "marian")
COMMANDS = ["translate", "generate", "embed", "search", "train", "evaluate", "describe"]
VALUES = st.sampled_from(hostile.NUMBERS + hostile.NAMES + hostile.TEXTS) | st.text(max_size=20)
PAYLOADS = st.sampled_from(hostile.VALUES) | st.integers() | st.floats() | st.text(max_size=5)


@functools.cache
def folder():
    """A folder that goes with the process."""
    made = tempfile.TemporaryDirectory(prefix="fuzz-")
    folder.kept = made
    return Path(made.name)


def call(*arguments):
    """Run a command; fail unless it ends as the contract says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(step01_numpy, [str(x) for x in arguments])
    errors = [line for line in err.getvalue().splitlines() if not line.startswith("note: ")]
    assert code in (0, 2), (arguments, code)
    assert len(errors) == (code == 2), (arguments, errors)


def command_lines(data):
    """Options of any command with values of any kind; what would really train or compare is left out."""
    command = data.draw(st.sampled_from(COMMANDS))
    words = data.draw(st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES), max_size=4))
    ends = {"train": ["--data", "none"], "describe": ["--config", "none"]}.get(
        command, ["--model", "none", "x"]
    )
    call(command, *(x for pair in words for x in pair), *ends)


def configurations(data):
    """A configuration with a value of any kind in any place: ours, or a ValueError."""
    fields = json.loads(CONFIG)
    fields["model"] |= {"rotary_scaling": [1, 1, 4, 8], "window": 3, "dropout": 0.1}
    fields["training"] |= {"betas": [0.9, 0.98], "peak_rate": 1e-3, "schedule": "cosine", "seed": 1}
    path = folder() / "config.json"
    place = data.draw(st.sampled_from(list(hostile.places(fields))))
    path.write_text(hostile.replaced(fields, place, data.draw(PAYLOADS)))
    with contextlib.suppress(ValueError):
        assert isinstance(read_configuration(path), RunConfig)
    model = {**fields["model"], "vocab_size": 9, "positions": "rotary"}
    place = data.draw(st.sampled_from(list(hostile.places(model))))
    path.write_text(hostile.replaced(model, place, data.draw(PAYLOADS)))
    with contextlib.suppress(ValueError):
        ModelConfig.from_dict(parse(path.read_text()))
    call("describe", "--config", path, "--json")


@functools.cache
def checkpoint():
    """The bytes of a good one."""
    save(folder() / "good", tiny_checkpoint())
    return (folder() / "good").read_bytes()


def checkpoints(data):
    """A checkpoint whose header says something else, that ends early, or with some bytes changed."""
    whole, path = checkpoint(), folder() / "checkpoint"
    size = int.from_bytes(whole[:8], "little")
    header, way = (
        json.loads(whole[8 : 8 + size]),
        data.draw(st.sampled_from(["header", "inside", "cut", "bytes"])),
    )
    if way == "cut":
        content = whole[: data.draw(st.integers(0, len(whole)))]
    elif way == "bytes":
        content = bytearray(whole)
        for at in data.draw(st.lists(st.integers(0, size + 100), min_size=1, max_size=8)):
            content[at] = data.draw(st.integers(0, 255))
    else:
        ours = json.loads(header["__metadata__"]["attention-step-by-step"])
        document = header if way == "header" else ours
        text = hostile.replaced(
            document, data.draw(st.sampled_from(list(hostile.places(document)))), data.draw(PAYLOADS)
        )
        if way == "inside":
            header["__metadata__"]["attention-step-by-step"] = text
            text = json.dumps(header)
        content = len(text.encode()).to_bytes(8, "little") + text.encode() + whole[8 + size :]
    path.write_bytes(content)
    call("translate", "--model", path, "They arrived late.")


def write_directories():
    """Write a good directory of each kind."""
    with contextlib.redirect_stdout(io.StringIO()):
        for name in KINDS:
            directories.write(folder() / name)


def model_directories(data):
    """A model's directory with a value of any kind in any place of its JSON, or a file that is damaged."""
    name = data.draw(st.sampled_from(KINDS))
    model = folder() / name
    paths = sorted(x for x in model.rglob("*") if x.is_file() and x.suffix != ".safetensors")
    path = data.draw(st.sampled_from(paths))
    before = path.read_bytes()
    try:
        if path.suffix == ".json" and data.draw(st.booleans()):
            document = json.loads(before)
            place = data.draw(st.sampled_from(list(hostile.places(document))))
            path.write_text(hostile.replaced(document, place, data.draw(PAYLOADS)))
        else:
            at, with_ = data.draw(st.integers(0, len(before))), data.draw(st.binary(max_size=20))
            path.write_bytes(before[:at] + with_ + before[at + data.draw(st.integers(0, 50)) :])
        call(*directories.COMMAND[name], "--model", model)
    finally:
        path.write_bytes(before)


def texts(data):
    """Files of any bytes: lines, or a ValueError; and a tokenizer of any texts gives them back."""
    path = folder() / data.draw(st.sampled_from(["text", "text.gz"]))
    path.write_bytes(
        data.draw(st.binary(max_size=60) | st.text(max_size=60).map(lambda x: x.encode("utf-8", "replace")))
    )
    for read in (read_text, read_parallel):
        with contextlib.suppress(ValueError):
            assert read(path)
    lines = data.draw(st.lists(st.text(max_size=12) | st.sampled_from(hostile.TEXTS), max_size=4))
    with contextlib.suppress(ValueError):
        tokenizer = Tokenizer.train(lines, 400)
        for line in lines:
            tokenizer.decode(tokenizer.encode(line))


TARGETS = {
    "command-lines": command_lines,
    "configurations": configurations,
    "checkpoints": checkpoints,
    "directories": model_directories,
    "texts": texts,
}
PREPARED = {"checkpoints": checkpoint, "directories": write_directories}
