"""Weight files: every tensor as it was written, none of it copied needlessly; a file at fault is refused."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from step01_numpy.common.pretrained import weight_files
from step01_numpy.common.pretrained.weight_files import INDEX, PIECE, WHOLE, WeightFiles, read_header

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture
def tensors():
    torch.manual_seed(3)
    found = {f"{i}": torch.randn(3, 5, 2).to(dtype) for i, dtype in enumerate(TYPES)}
    return found | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "whole": torch.arange(7)}


@pytest.fixture
def directory(tmp_path, tensors):
    save_file(tensors, tmp_path / WHOLE, {"format": "pt"})
    return tmp_path


def write(path, header, data=b""):
    """Write a safetensors file by hand."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def test_what_is_read_is_what_was_written(directory, tensors):
    files = WeightFiles.of_directory(directory)
    assert set(files.tensors) == set(tensors)
    for name in ("0", "1", "2", "3", "scalar", "empty"):
        found = files.array(name)
        assert type(found) is np.ndarray
        assert found.dtype == np.float32
        assert found.shape == tuple(tensors[name].shape)
        assert (found == tensors[name].float().numpy()).all()


def test_float32_stays_in_the_file(directory):
    files = WeightFiles.of_directory(directory)
    found = files.array("1")
    assert not found.flags.writeable
    assert not found.flags.owndata
    assert found.base is files.array("scalar").base  # one map serves all


def test_float32_that_is_not_aligned_is_copied(tmp_path):
    write(
        tmp_path / WHOLE,
        {
            "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
        },
        b"\7" + np.array([1.5, -2], "<f4").tobytes(),
    )
    found = WeightFiles.of_directory(tmp_path).array("b")
    assert found.flags.aligned
    assert found.tolist() == [1.5, -2]


def test_integers_are_no_weights(directory):
    with pytest.raises(ValueError, match="whole is stored as I64; expected one of F64, F32, F16, BF16"):
        WeightFiles.of_directory(directory).array("whole")


def test_truncated_anywhere(directory):
    path = directory / WHOLE
    data = path.read_bytes()
    for kept in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:kept])
        with pytest.raises(ValueError, match=r"model.safetensors is truncated or no safetensors file"):
            read_header(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(ValueError, match="its tensors end at byte"):
        read_header(path)


@pytest.mark.parametrize("data", [b"\x80\x04N.", b"PK\x03\x04" * 30, b"{}" * 50, b"\xff" * 64, b"\0" * 64])
def test_no_safetensors_file(tmp_path, data):
    (tmp_path / WHOLE).write_bytes(data)
    with pytest.raises(ValueError, match="is truncated or no safetensors file"):
        read_header(tmp_path / WHOLE)


@pytest.mark.parametrize(
    "about",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 60]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]},
        {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        [],
        None,
    ],
)
def test_a_header_that_lies(tmp_path, about):
    write(tmp_path / WHOLE, {"x": about}, bytes(8))
    with pytest.raises(ValueError, match="is truncated or no safetensors file"):
        read_header(tmp_path / WHOLE)


ONE = '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (f'{{"x": {ONE}, "x": {ONE}}}', "the name 'x' stands twice"),
        (f'{{"x": {ONE[:-1]}, "dtype": "I64"}}}}', "the name 'dtype' stands twice"),
        (f'{{"x": {ONE}, "y": {ONE}}}', "y, F32 .2,., has bytes 0 to 8, from 8 on"),
        (
            f'{{"x": {ONE}, "y": {ONE.replace("0, 8", "4, 8").replace("[2]", "[1]")}}}',
            "has bytes 4 to 8, from 8",
        ),
        (f'{{"x": {ONE.replace("[2]", str([1 << 60] * 1000))}}}', "x has 1000 axes"),
        (
            f'{{"x": {ONE.replace("[2]", "[0, 9223372036854775808]").replace("8]", "0]")}}}',
            "memory could have",
        ),
        (f'{{"x": {ONE.replace("[2]", str([0] + [1 << 31] * 9)).replace("8]", "0]")}}}', "memory could have"),
        (f'{{"__metadata__": {{"a": 1}}, "x": {ONE}}}', "its metadata are no texts by name"),
        (f'{{"__metadata__": {{"a": null}}, "x": {ONE}}}', "its metadata are no texts by name"),
        (f'{{"__metadata__": [], "x": {ONE}}}', "its metadata are no texts by name"),
        (f'{{"__metadata__": "abc", "x": {ONE}}}', "its metadata are no texts by name"),
        (f'{{"x": {"[" * 100_000}}}', "its brackets are nested too deeply"),
    ],
)
def test_a_header_that_others_would_misread(tmp_path, header, message):
    write(tmp_path / WHOLE, header.encode(), bytes(8))
    with pytest.raises(ValueError, match=f"is truncated or no safetensors file .*{message}"):
        read_header(tmp_path / WHOLE)


def test_a_header_that_takes_too_much_memory(tmp_path):
    """The file is as long as it says, but of holes."""
    with open(tmp_path / WHOLE, "wb") as file:
        file.write((1 << 40).to_bytes(8, "little"))
        file.truncate((1 << 40) + 16)
    with pytest.raises(ValueError, match="its header should have 1099511627776 bytes"):
        read_header(tmp_path / WHOLE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", TYPES)
def test_a_weight_that_is_not_finite_is_found_when_it_is_read(tmp_path, dtype, value):
    weight = torch.zeros(3 * PIECE // 4)  # in more than one piece
    weight[-1] = value
    save_file({"x": weight.to(dtype), "y": torch.zeros(2)}, tmp_path / WHOLE)
    files = WeightFiles.of_directory(tmp_path)
    assert files.array("y").tolist() == [0, 0]
    with pytest.raises(ValueError, match=f"model.safetensors: x holds {value}; expected finite numbers"):
        files.array("x")


def test_a_number_beyond_float32_is_found(tmp_path):
    save_file({"x": torch.tensor([1e300], dtype=torch.float64)}, tmp_path / WHOLE)
    with pytest.raises(ValueError, match="x holds inf; expected finite numbers"):
        WeightFiles.of_directory(tmp_path).array("x")


def test_of_large_files_no_more_is_read_than_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_files, "READ_AT_ONCE", 60)
    save_file({"x": torch.zeros(10), "y": torch.full((10,), np.nan)}, tmp_path / WHOLE)
    files = WeightFiles.of_directory(tmp_path)
    assert np.isfinite(files.array("x")).all()
    assert np.isnan(files.array("y")).all()  # and so is what is computed of it, which is refused then


@pytest.mark.parametrize("header", [b"[]", b"3", b"[" * 100000, b"{", b'{"x": '])
def test_a_header_of_another_kind(tmp_path, header):
    write(tmp_path / WHOLE, header)
    with pytest.raises(ValueError, match="is truncated or no safetensors file"):
        read_header(tmp_path / WHOLE)


def sharded(directory, tensors, weight_map=None):
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:4], "model-00002-of-00002.safetensors": names[4:]}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, directory / file)
    found = {name: file for file, held in shards.items() for name in held} | (weight_map or {})
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": found}))


def test_shards(tmp_path, tensors):
    sharded(tmp_path, tensors)
    files = WeightFiles.of_directory(tmp_path)
    assert set(files.tensors) == set(tensors)
    for name in ("0", "1", "2", "3"):
        assert (files.array(name) == tensors[name].float().numpy()).all()


def test_a_shard_is_missing(tmp_path, tensors):
    sharded(tmp_path, tensors)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"lacks model-00002-of-00002.safetensors, listed in model.saf"
    ):
        WeightFiles.of_directory(tmp_path)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"y": "model-00001-of-00002.safetensors"}, "lists tensors that their files do not hold: y"),
        ({"y": "../other.safetensors"}, "names a file outside its directory"),
        ({"y": "/etc/passwd"}, "names a file outside its directory"),
        ({"y": 3}, "does not list the files of tensors"),
    ],
)
def test_a_wrong_index(tmp_path, tensors, weight_map, message):
    sharded(tmp_path, tensors, weight_map)
    with pytest.raises(ValueError, match=message):
        WeightFiles.of_directory(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_no_index(tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(ValueError, match="does not list the files of tensors"):
        WeightFiles.of_directory(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "weights.pt"])
def test_pickles_are_never_opened(tmp_path, name):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("a pickle was opened",)

    torch.save(Trap(), tmp_path / name)
    with pytest.raises(ValueError, match=rf"its weights in {name} only, a pickle.*convert it"):
        WeightFiles.of_directory(tmp_path)


def test_no_weights(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"has no model.safetensors and no model.safetensors.index.json"
    ):
        WeightFiles.of_directory(tmp_path)


def test_missing_library(monkeypatch, directory):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=r"attention-step-by-step\[text\]"):
        WeightFiles.of_directory(directory).array("3")
