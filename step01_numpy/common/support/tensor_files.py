"""
Read safetensors files that anybody may have written: what is said of them is held against their bytes.

The file: 8 bytes with the header's length n, n bytes of JSON {name: {dtype, shape, data_offsets}} with
"__metadata__" perhaps, and the tensors one after the other without gaps.
"""

import os
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from step01_numpy.common.support.json_text import distinct, parse

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
SIZES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8}  # bytes
NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4"}
NUMPY |= {"I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "?"}
LONGEST_HEADER = 100_000_000  # bytes, as the format's own library has it
MOST_AXES = 64  # of a NumPy array


class Tensor(NamedTuple):
    """Where a tensor lies: its file, its type and shape, and the byte of the file at which it begins."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int


class Header(NamedTuple):
    """What a file says of itself: its tensors by name, and other texts by name."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """
    Read which tensors a safetensors file holds, and check that it holds all of each, and nothing twice.

    Raises
    ------
    ValueError
        For a file that is truncated, or of another format.
    """
    with open(path, "rb") as file:
        return _header(path, file)


def read_all(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """
    Read all tensors of a file into one piece of memory, as large as the file; and its metadata.

    Raises
    ------
    ValueError
        As `read_header`, and for a tensor of a type that NumPy does not know.
    """
    with open(path, "rb") as file:
        header = _header(path, file)
        file.seek(0)
        data = np.fromfile(file, np.uint8)
    for name, tensor in header.tensors.items():
        if tensor.dtype not in NUMPY:
            raise ValueError(
                f"{path}: {name} is stored as {tensor.dtype}; expected one of {', '.join(NUMPY)}"
            )
    return {name: _view(data, tensor) for name, tensor in header.tensors.items()}, header.metadata


def not_finite(arrays: dict[str, np.ndarray]) -> str | None:
    """Say of the first array that holds infinity or no number at all that it does; None if there is none."""
    for name, x in arrays.items():
        finite = np.isfinite(x)
        if not finite.all():
            return f"{name} holds {x[~finite].flat[0]}; expected finite numbers"
    return None


def _view(data, tensor):
    size = prod(tensor.shape) * SIZES[tensor.dtype]
    return data[tensor.start : tensor.start + size].view(NUMPY[tensor.dtype]).reshape(tensor.shape)


def _header(path: Path, file: BinaryIO) -> Header:
    try:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, LONGEST_HEADER):
            raise ValueError(f"its header should have {length} bytes, all of the file has {size}")
        header = parse(file.read(length), objects=distinct)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
            raise ValueError("its metadata are no texts by name")
        return Header(_tensors(path, header, first=8 + length, size=size), metadata)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({error})") from error


def _tensors(path, header, first, size):
    found, end = {}, 0
    for name, about in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (start, stop) = tuple(about["shape"]), about["data_offsets"]
        if len(shape) > MOST_AXES or not all(type(x) is int and x >= 0 for x in (*shape, start, stop)):
            raise ValueError(f"{name} has {len(shape)} axes, {shape[:9]}, and bytes {start} to {stop}")
        if prod(max(x, 1) for x in shape) >= 1 << 56:
            raise ValueError(f"{name} has shape {shape}; expected sizes that memory could have")
        if start != end or stop - start != prod(shape) * SIZES[about["dtype"]]:
            raise ValueError(f"{name}, {about['dtype']} {shape}, has bytes {start} to {stop}, from {end} on")
        found[name], end = Tensor(path, about["dtype"], shape, first + start), stop
    if first + end != size:
        raise ValueError(f"its tensors end at byte {first + end}, the file at {size}")
    return found
