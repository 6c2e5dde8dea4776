"""
Read tensors from safetensors files where they lie: float32 as views on the mapped file, which the system
reads once and when needed; 16-bit floats through float32, one tensor at a time.
"""

from fnmatch import fnmatchcase
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from step01_numpy.common.support.json_text import parse
from step01_numpy.common.support.tensor_files import SIZES, Tensor, not_finite, read_header

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # as NumPy reads them; BF16 by its bits
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Bytes of float32 that are looked through when a model is opened; of more, the rest is not.
READ_AT_ONCE = 1 << 30
PIECE = 1 << 20  # bytes
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


class WeightFiles:
    """
    The tensors of one or several safetensors files.

    Attributes
    ----------
    tensors : dict
        `Tensor` by name.
    """

    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors, self._maps, self._read = tensors, {}, 0

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
            return cls(read_header(directory / WHOLE).tensors)
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
            For a tensor that holds no floating-point numbers, or one that is not finite.
        """
        path, dtype, shape, start = self.tensors[name]
        if dtype not in FLOATS:
            raise ValueError(f"{path}: {name} is stored as {dtype}; expected one of {', '.join(FLOATS)}")
        if dtype == "F32" and start % 4 == 0:  # BLAS would copy what is not aligned, at each use
            self._check_on_disk(name)
            return np.ndarray(shape, FLOATS[dtype], self._mapped(path), start)
        stored = np.fromfile(path, FLOATS[dtype], prod(shape), offset=start)
        if dtype == "BF16":
            stored = stored.view(_bfloat16())
        with np.errstate(over="ignore"):  # float64 beyond float32 is infinite, and refused as such
            found = stored.astype(np.float32, copy=False)
        _check_finite(path, name, found)
        return found.reshape(shape)

    def _check_on_disk(self, name):
        """Read a tensor once, piece by piece and not through the map, whose pages would stay in memory."""
        path, dtype, shape, start = self.tensors[name]
        self._read += prod(shape) * SIZES[dtype]
        if self._read > READ_AT_ONCE:
            return
        end = start + prod(shape) * SIZES[dtype]
        for at in range(start, end, PIECE):
            _check_finite(path, name, np.fromfile(path, "<f4", min(PIECE, end - at) // 4, offset=at))

    def _mapped(self, path):
        if path not in self._maps:
            with open(path, "rb") as file:
                self._maps[path] = mmap(file.fileno(), 0, access=ACCESS_READ)
        return self._maps[path]


def _check_finite(path, name, x):
    if fault := not_finite({name: x}):
        raise ValueError(f"{path}: {fault}")


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
        return parse((directory / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "AutoModel"


def _read_shards(directory):
    index = directory / INDEX
    try:
        names = dict(parse(index.read_text(encoding="utf-8"))["weight_map"])
        files = {name: Path(name) for name in names.values()}
        if any(path.name != name for name, path in files.items()):
            raise ValueError("it names a file outside its directory")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index} does not list the files of tensors ({error})") from error
    missing = sorted(name for name in files if not (directory / name).is_file())
    if missing:
        raise FileNotFoundError(f"{directory} lacks {', '.join(missing)}, listed in {INDEX}")
    headers = {name: read_header(directory / name).tensors for name in files}
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
