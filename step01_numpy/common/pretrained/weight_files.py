"""
Read tensors from safetensors files where they lie: float32 as views on the mapped file, which the system
reads once and when needed; 16-bit floats through float32, one tensor at a time.
"""

import json
from fnmatch import fnmatchcase
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
SIZES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8}  # bytes
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # as NumPy reads them; BF16 by its bits
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")

OTHERS = {
    ".onnx": "ONNX",
    ".gguf": "GGUF",
    ".h5": "TensorFlow",
    ".ckpt.index": "TensorFlow",
    ".tflite": "TensorFlow",
    ".msgpack": "Flax",
    "openvino_model.xml": "OpenVINO",
    ".safetensors": "other safetensors",
}  # the end of a name, and whose weights these are


class Tensor(NamedTuple):
    """Where a tensor lies: its file, its type and shape, and the byte of the file at which it begins."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int


class WeightFiles:
    """
    The tensors of one or several safetensors files.

    Attributes
    ----------
    tensors : dict
        `Tensor` by name.
    """

    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors, self._maps = tensors, {}

    @classmethod
    def of_directory(cls, directory: Path) -> "WeightFiles":
        """
        Find model.safetensors, or the shards that model.safetensors.index.json lists.

        Raises
        ------
        FileNotFoundError
            Where there is neither, or a shard is missing.
        ValueError
            For a file that is truncated or no safetensors file, and where there are pickled weights only.
        """
        if (directory / WHOLE).is_file():
            return cls(read_header(directory / WHOLE))
        if (directory / INDEX).is_file():
            return cls(_read_shards(directory))
        raise _without_weights(directory)

    def array(self, name: str) -> np.ndarray:
        """
        Return a tensor in float32: read-only and not yet read from the disk if it is stored so.

        Raises
        ------
        ImportError
            For bfloat16, without the library ml_dtypes.
        ValueError
            For a tensor that holds no floating-point numbers.
        """
        path, dtype, shape, start = self.tensors[name]
        if dtype not in FLOATS:
            raise ValueError(f"{path}: {name} is stored as {dtype}; expected one of {', '.join(FLOATS)}")
        if dtype == "F32" and start % 4 == 0:  # BLAS would copy what is not aligned, at each use
            return np.ndarray(shape, FLOATS[dtype], self._mapped(path), start)
        stored = np.fromfile(path, FLOATS[dtype], prod(shape), offset=start)
        if dtype == "BF16":
            stored = stored.view(_bfloat16())
        return stored.astype(np.float32, copy=False).reshape(shape)

    def _mapped(self, path):
        if path not in self._maps:
            with open(path, "rb") as file:
                self._maps[path] = mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._maps[path]


def read_header(path: Path) -> dict[str, Tensor]:
    """
    Read which tensors a safetensors file holds, and check that it holds all of each.

    Raises
    ------
    ValueError
        For a file that is truncated, or of another format.

    Notes
    -----
    The file: 8 bytes with the header's length n, n bytes of JSON {name: {dtype, shape, data_offsets}}, and
    the tensors one after the other without gaps.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > size - 8:
                raise ValueError(f"its header should have {length} bytes, all of the file has {size}")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return _tensors(path, header, first=8 + length, size=size)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({error})") from error


def _tensors(path, header, first, size):
    found, end = {}, 0
    for name, about in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (start, stop) = tuple(about["shape"]), about["data_offsets"]
        if not all(type(x) is int and x >= 0 for x in (*shape, start, stop)):
            raise ValueError(f"{name} has shape {shape} and bytes {start} to {stop}")
        if start != end or stop - start != prod(shape) * SIZES[about["dtype"]]:
            raise ValueError(f"{name}, {about['dtype']} {shape}, has bytes {start} to {stop}, from {end} on")
        found[name], end = Tensor(path, about["dtype"], shape, first + start), stop
    if first + end != size:
        raise ValueError(f"its tensors end at byte {first + end}, the file at {size}")
    return found


def _without_weights(directory):
    """Return the error that says what a directory holds instead, and how to come by what is needed."""
    held = sorted(path for pattern in PICKLED for path in directory.glob(pattern))
    if not held:
        return FileNotFoundError(
            f"{directory} has no {WHOLE} and no {INDEX}; expected one of them{holdings(directory)}"
        )
    return ValueError(
        f"{directory} holds its weights in {held[0].name} only, a pickle, which may run code and is never "
        f"opened here; convert it with the library transformers, which writes {WHOLE} and the tokenizer's "
        f"files: {_class_of(directory)}.from_pretrained(DIR).save_pretrained(NEW_DIR); "
        "AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW_DIR)"
    )


def holdings(directory: Path) -> str:
    """Say which weights of other kinds a directory holds, as the end of an error."""
    names = sorted({path.name for path in directory.rglob("*") if path.is_file()})
    names = [name for name in names if not fnmatchcase(name, "model*.safetensors")]
    kinds = [f"{name}, {kind}" for name in names for end, kind in OTHERS.items() if name.endswith(end)]
    return f"; it holds {'; '.join(kinds)}: not read here" if kinds else ""


def _class_of(directory):
    """Return the class that keeps all of a model's weights."""
    try:
        return json.loads((directory / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "AutoModel"


def _read_shards(directory):
    index = directory / INDEX
    try:
        names = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        files = {name: Path(name) for name in names.values()}
        if any(path.name != name for name, path in files.items()):
            raise ValueError("it names a file outside its directory")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index} does not list the files of tensors ({error})") from error
    missing = sorted(name for name in files if not (directory / name).is_file())
    if missing:
        raise FileNotFoundError(f"{directory} lacks {', '.join(missing)}, listed in {INDEX}")
    headers = {name: read_header(directory / name) for name in files}
    absent = sorted(name for name, file in names.items() if name not in headers[file])
    if absent:
        raise ValueError(f"{index} lists tensors that their files do not hold: {', '.join(absent)}")
    return {name: headers[file][name] for name, file in names.items()}


def _bfloat16():
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError(
            'weights in bfloat16 need the library ml_dtypes: pip install "attention-step-by-step[text]"'
        ) from error
    return ml_dtypes.bfloat16
