"""Checkpoints: what is loaded is what was saved; a file at fault is refused; no file is half written."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.support.files import check_writable, claim, write_atomically
from step01_numpy.common.training import checkpoints
from step01_numpy.common.training.checkpoints import KEY, Checkpoint, Training, load, save
from step01_numpy.common.training.configuration import TrainingConfig, read_configuration
from step01_numpy.common.training.trainer import digest
from tests.tiny import CONFIG, tiny_checkpoint


@pytest.fixture(scope="module")
def checkpoint():
    found = tiny_checkpoint()
    batches = {"rng": np.random.default_rng(1).bit_generator.state, "position": 3}
    optimizer = {"mean.x": np.arange(6.0).reshape(2, 3).T, "steps": np.array(7)}
    training = Training(7, TrainingConfig(steps=9, betas=(0.5, 0.75)), batches, optimizer)
    return Checkpoint(found.state, found.config, found.tokenizer, training)


@pytest.fixture
def path(tmp_path, checkpoint):
    save(tmp_path / "model.safetensors", checkpoint)
    return tmp_path / "model.safetensors"


def assert_same_arrays(found, expected):
    assert set(found) == set(expected)
    for name, x in expected.items():
        assert found[name].dtype == x.dtype
        assert found[name].shape == x.shape
        assert (found[name] == x).all()


def test_what_is_loaded_is_what_was_saved(path, checkpoint):
    found = load(path)
    assert_same_arrays(found.state, checkpoint.state)
    assert found.config == checkpoint.config
    assert found.tokenizer.to_json() == checkpoint.tokenizer.to_json()
    assert (found.training.step, found.training.config) == (7, checkpoint.training.config)
    assert found.training.batches == checkpoint.training.batches
    assert_same_arrays(found.training.optimizer, checkpoint.training.optimizer)


def test_a_slim_file_has_no_training(path, checkpoint):
    size = path.stat().st_size
    save(path, Checkpoint(checkpoint.state, checkpoint.config, checkpoint.tokenizer))
    assert load(path).training is None
    assert path.stat().st_size < size


def test_the_same_content_gives_the_same_bytes(path, checkpoint, tmp_path):
    save(tmp_path / "again", checkpoint)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_other_programs_can_read_the_weights(path, checkpoint):
    found = safetensors.numpy.load_file(path)
    assert {name for name in found if not name.startswith("training.")} == set(checkpoint.state)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1, -1000])
def test_truncated(path, kept):
    data = path.read_bytes()
    path.write_bytes(data[:kept])
    with pytest.raises(ValueError, match=r"model.safetensors is truncated or no safetensors file"):
        load(path)


def opened(path):
    """Return the checkpoint, or what is said against it."""
    try:
        return load(path)
    except ValueError as error:
        return str(error)


def test_a_flipped_bit_is_found(path, checkpoint):
    data, rng = path.read_bytes(), np.random.default_rng(4)
    header = 8 + int.from_bytes(data[:8], "little")
    for bit in [*rng.integers(0, 8 * header, 60), *rng.integers(8 * header, 8 * len(data), 20)]:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        found = opened(path)
        if bit >= 8 * header:
            assert found == f"{path} is damaged: its bytes are not those that were written"
        elif isinstance(found, str):
            assert str(path) in found
        else:  # in the word "checksum", or between the texts
            assert_same_arrays(found.state, checkpoint.state)
            assert found.config == checkpoint.config
            assert found.tokenizer.to_json() == checkpoint.tokenizer.to_json()


def test_the_digest_is_of_all_and_in_order():
    lines = [str(n) for n in range(2500)]
    pairs = list(zip(lines, lines[::-1], strict=True))
    others = [
        lines,
        lines[:-1],
        [*lines[:-1], "x"],
        [*lines[:1500], "x", *lines[1501:]],
        [*lines[:-2], lines[-1], lines[-2]],
    ]
    others += [
        pairs,
        [pair[::-1] for pair in pairs],
        ["".join(pair) for pair in pairs],
        ["1", "23"],
        ["12", "3"],
        [],
    ]
    found = [digest(x) for x in others]
    assert len(set(found)) == len(others)
    assert found == [digest(list(x)) for x in others]


@pytest.mark.parametrize("change", ["values", "names", "dtype", "shape", "text"])
def test_the_checksum_is_of_all_that_counts(path, change):
    with safetensors.safe_open(path, framework="numpy") as file:
        text = file.metadata()[KEY]
    arrays = safetensors.numpy.load_file(path)
    x, y = "stack.blocks.0.feed_forward.w_1.weight", "stack.blocks.0.feed_forward.w_2.weight"
    x, y = (name.replace("stack", "encoder") for name in (x, y))
    if change == "values":
        arrays[x][0, 0] = np.nextafter(arrays[x][0, 0], np.float32(1))
    elif change == "names":
        arrays[x], arrays[y] = arrays[y], arrays[x]
    elif change == "dtype":
        arrays[x] = arrays[x].view(np.float16)
    elif change == "shape":
        arrays[x] = arrays[x].reshape(-1)
    else:
        text = text.replace('"n_heads": 2', '"n_heads": 4')
    safetensors.numpy.save_file(arrays, path, {KEY: text})
    with pytest.raises(ValueError, match="is damaged: its bytes are not those that were written"):
        load(path)


@pytest.mark.parametrize("data", [b"\x80\x04N.", b"PK\x03\x04" * 30, b"{}" * 50, b"\xff" * 64])
def test_no_safetensors_file(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is truncated or no safetensors file"):
        load(path)


def test_foreign_safetensors(path):
    safetensors.numpy.save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="is a safetensors file of another program"):
        load(path)
    safetensors.numpy.save_file({"x": np.zeros(3)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="is a safetensors file of another program"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "its format is version 2; expected 1"),
        ({"version": None}, "its format is version None"),
        ({"model": {"vocab_size": 5}}, "its tokenizer has .* tokens, its model 5"),
        ({"model": {"vocab_size": 5, "depth": 3}}, "ModelConfig has no field 'depth'"),
        ({"model": []}, r"ModelConfig is \[\]"),
        ({"tokenizer": {"a": 1}}, "tokenizer"),
        ({"training": {}}, "lacks"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_metadata(path, change, message):
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()[KEY])
    arrays = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(arrays, path, {KEY: json.dumps(about | change)})
    with pytest.raises(ValueError, match=rf"is no checkpoint that this version can read: .*{message}"):
        load(path)
    safetensors.numpy.save_file(arrays, path, {KEY: "{"})
    with pytest.raises(ValueError, match="is no checkpoint that this version can read"):
        load(path)


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.safetensors does not exist"):
        load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("library", ["safetensors", "tokenizers"])
def test_missing_library(monkeypatch, path, checkpoint, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"attention-step-by-step\[text\]"):
        save(path, checkpoint) if library == "safetensors" else load(path)


def fail_with(code):
    def fail(*args, **options):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("old", [b"the last good one", None])
def test_no_space_left(monkeypatch, tmp_path, checkpoint, function, old):
    path = tmp_path / "model"
    if old is not None:
        path.write_bytes(old)
    monkeypatch.setattr(os, function, fail_with(errno.ENOSPC))
    with pytest.raises(OSError, match=r"No space left on device: .*model") as caught:
        save(path, checkpoint)
    assert caught.value.errno == errno.ENOSPC
    assert [x.read_bytes() for x in tmp_path.iterdir()] == ([] if old is None else [old])


def test_stopped_while_writing(monkeypatch, tmp_path, checkpoint):
    def stop(number):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "model", checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_written_to_the_disk_before_it_takes_the_name(monkeypatch, tmp_path):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda n: (calls.append(os.fstat(n).st_size), fsync(n)))
    monkeypatch.setattr(os, "replace", lambda *x: (calls.append("replace"), replace(*x)))
    write_atomically(tmp_path / "x", b"12345")
    assert calls == [5, "replace"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_killed_while_writing(tmp_path, moment):
    path = tmp_path / "model"
    path.write_bytes(b"the last good one")
    script = (
        "import os, signal, sys; from step01_numpy.common.support.files import write_atomically\n"
        f"os.{moment} = lambda *x: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], b'new' * 100000)"
    )
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -9
    assert path.read_bytes() == b"the last good one"
    with claim(path):  # what the killed one left is gone
        write_atomically(path, b"newer")
    assert [x.read_bytes() for x in tmp_path.iterdir()] == [b"newer"]


def test_unwritable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, error in (
        (tmp_path / "nowhere" / "model", FileNotFoundError),
        (tmp_path / "file" / "model", NotADirectoryError),
        (tmp_path, ValueError),
    ):
        for write in (check_writable, lambda x: write_atomically(x, b"")):
            with pytest.raises(error, match=path.name):
                write(path)
    assert [x.name for x in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_device_is_never_replaced():
    with pytest.raises(ValueError, match="/dev/full is no regular file"):
        write_atomically("/dev/full", b"x")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_no_weight_is_taken_for_the_optimizers(checkpoint):
    assert not any(name.startswith(checkpoints.TRAINING) for name in checkpoint.state)


@pytest.mark.parametrize("config", [ModelConfig(10), TrainingConfig(steps=3, warmup=0, schedule="cosine")])
def test_configurations_survive_json(config):
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ModelConfig, {"vocab_size": 0}, "vocab_size is 0; expected an integer of at least 1"),
        (ModelConfig, {}, "ModelConfig needs the field 'vocab_size'"),
        (ModelConfig, {"vocab_size": 9, "n_heads": 3}, "n_heads is 3, which does not divide d_model 128"),
        (ModelConfig, {"vocab_size": 9, "n_kv_heads": 3}, "n_kv_heads is 3, which does not divide n_heads 4"),
        (ModelConfig, {"vocab_size": 9, "positions": "alibi"}, "positions is 'alibi'; expected one of sinus"),
        (ModelConfig, {"vocab_size": 9, "dropout": 1}, "dropout is 1"),
        (ModelConfig, {"vocab_size": 9, "norm_first": 1}, "norm_first is 1; expected true or false"),
        (ModelConfig, {"vocab_size": 9, "d_model": 3, "n_heads": 3}, "d_model 3"),
        (TrainingConfig, {"warmup": -1}, "warmup is -1; expected an integer of at least 0"),
        (TrainingConfig, {"peak_rate": 0}, "peak_rate is 0; expected a number above 0"),
        (TrainingConfig, {"peak_rate": float("nan")}, "peak_rate is nan"),
        (TrainingConfig, {"schedule": "linear"}, "schedule is 'linear'"),
        (TrainingConfig, {"betas": [0.9]}, r"betas is \(0.9,\); expected two numbers"),
        (TrainingConfig, {"betas": [0.9, 1.0]}, r"betas\[1\] is 1.0"),
        (TrainingConfig, {"weight_decay": -0.1}, "weight_decay is -0.1"),
        (TrainingConfig, {"seed": True}, "seed is True"),
        (TrainingConfig, {"rate": 1}, "TrainingConfig has no field 'rate'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_configurations(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind.from_dict(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "config.json: Expecting property name"),
        (b"\xff", "config.json: .*utf-8"),
        (b"[]", r"RunConfig is \[\]"),
        (b'{"modle": {}}', "RunConfig has no field 'modle'"),
        (b'{"model": {"vocab_size": 4}}', "model has the field 'vocab_size'; expected it in tokenizer"),
        (b'{"model": 3}', "ModelConfig is 3"),
        (b'{"tokenizer": {"lowercase": 0}}', "lowercase is 0"),
        (b'{"training": {"steps": 1.5}}', "steps is 1.5"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_configuration_files(tmp_path, text, message):
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_configuration(tmp_path / "config.json")


def test_configuration_file(tmp_path):
    (tmp_path / "config.json").write_text(CONFIG)
    config = read_configuration(tmp_path / "config.json")
    assert config.model_config(vocab_size=77).vocab_size == 77
    assert (config.training.steps, config.training.peak_rate, config.tokenizer.vocab_size) == (6, 3e-3, 90)
