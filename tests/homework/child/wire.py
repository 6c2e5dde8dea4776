"""
Frames between grader and child: numbers, text and arrays, of checked lengths; never an object.

A frame is two lengths, a header in JSON, and the raw numbers of its arrays. In the header what JSON has not
is a list that begins with a tag: ["f", "0x1.8p+0"] a float, ["a", i] the i-th array, ["g", i] the number of
NumPy in it, ["t", …] a tuple, ["l", …] a list, ["d", [key, value], …] a dict. Only towards the child there
are ["n", "attention:softmax"], a name of the starter, ["o", "attention:Attend", {…}], an object by its class
and attributes, and ["s", i], a function that stays with the grader.
"""

import json
import struct
from typing import NamedTuple

import numpy as np

LENGTHS = struct.Struct(">IQ")
DTYPES = ("bool", "int32", "int64", "float16", "float32", "float64")
MAX_HEADER, MAX_BODY, MAX_ARRAYS, MAX_AXES, MAX_TEXT = 2**18, 2**26, 256, 8, 4000
MAX_INTEGER, MAX_DEPTH = 2**63, 32
FIELDS = {  # what a child may say, and no more
    "ready": {"holds": list, "seconds": float},
    "loaded": {"notes": list},
    "unfit": {"text": str},
    "result": {"case": int, "values": list, "inputs": tuple, "state": dict},
    "error": {"case": int, "type": str, "text": str, "line": int},
    "call": {"target": str, "args": tuple, "options": dict},
}


class WireError(Exception):
    """What came is no frame, or says what it may not."""


class Name(NamedTuple):
    """A function or class of the starter, "module:name"."""

    text: str


class Object(NamedTuple):
    """An object of one of the starter's classes: the class's name, and the attributes."""

    kind: str
    attributes: dict


class Served(NamedTuple):
    """A function that stays with the grader."""

    index: int


def encode(message: dict) -> bytes:
    """Return a frame; a value that has no form here is a TypeError."""
    arrays: list = []
    header = {key: pack(value, arrays) for key, value in message.items()}
    header["arrays"] = [[str(x.dtype), list(x.shape)] for x in arrays]
    text = json.dumps(header, allow_nan=False).encode()
    body = b"".join(x.tobytes() for x in arrays)
    return LENGTHS.pack(len(text), len(body)) + text + body


def pack(value, arrays: list):
    """Return a value as JSON has it; its arrays go to `arrays`."""
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        if abs(value) >= MAX_INTEGER:
            raise TypeError("an integer beyond 64 bits")
        return value
    if kind is float:
        return ["f", value.hex()]
    if kind in (Name, Served):
        return ["n" if kind is Name else "s", value[0]]
    if kind is Object:
        return ["o", value.kind, pack(value.attributes, arrays)]
    if issubclass(kind, tuple | list):
        return ["t" if issubclass(kind, tuple) else "l", *(pack(x, arrays) for x in value)]
    if issubclass(kind, dict):
        return [
            "d",
            *([key if type(key) is str else refuse(key), pack(x, arrays)] for key, x in value.items()),
        ]
    arrays.append(plain(value))
    return ["g" if issubclass(kind, np.generic) else "a", len(arrays) - 1]


def plain(value) -> np.ndarray:
    """Return an array in a dtype that frames have, whatever kind of array or number of NumPy came."""
    if not issubclass(type(value), np.ndarray | np.generic):
        raise TypeError(f"a value of type {type(value).__name__}; expected arrays")
    x = np.array(value, copy=True, subok=False, order="C")
    wide = {"b": "bool", "i": "int64", "u": "int64", "f": "float64"}.get(x.dtype.kind)
    if wide is None:
        raise TypeError(f"an array of dtype {x.dtype}; expected numbers")
    return x if x.dtype.isnative and x.dtype.name in DTYPES else x.astype(wide)


def write(file, message: dict) -> None:
    """Write a message at once."""
    file.write(encode(message))
    file.flush()


def read(file, *, trusted: bool = False) -> dict:
    """
    Read a message.

    Parameters
    ----------
    file : binary file
    trusted : bool
        Whether it comes from the grader: then it may be large and name what the starter has.

    Raises
    ------
    WireError
        For anything but a whole frame within its limits.
    EOFError
        Where nothing more comes.
    """
    n_header, n_body = LENGTHS.unpack(exactly(file, LENGTHS.size))
    if not trusted and (n_header > MAX_HEADER or n_body > MAX_BODY):
        raise WireError("a frame that is too long")
    return decode(exactly(file, n_header), exactly(file, n_body), trusted)


def exactly(file, n: int) -> bytes:
    """Read n bytes."""
    data = file.read(n)
    if len(data) != n:
        raise EOFError
    return data


def decode(text: bytes, body: bytes, trusted: bool = False) -> dict:
    """Return the message of a frame; see `read`."""
    try:
        header = json.loads(text, parse_constant=refuse)
        arrays = unpack_arrays(header.pop("arrays"), body)
        message = {key: unpack(value, arrays, trusted) for key, value in header.items()}
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise WireError("a frame that cannot be read") from error
    if not trusted:
        check(message)
    return message


def refuse(constant):
    """Refuse NaN and Infinity, which JSON has not."""
    raise ValueError(constant)


def unpack_arrays(kinds, body: bytes) -> list:
    """Cut a frame's body into arrays; every byte belongs to one."""
    arrays, start = [], 0
    if len(kinds) > MAX_ARRAYS:
        raise ValueError("too many arrays")
    for dtype, shape in kinds:
        fits = dtype in DTYPES and len(shape) <= MAX_AXES and all(type(n) is int and n >= 0 for n in shape)
        size = np.dtype(dtype).itemsize if fits else 0
        for n in shape if fits else ():
            size *= n
        if not fits or size > len(body) - start:
            raise ValueError("an array that does not fit its frame")
        numbers = np.frombuffer(body[start : start + size], "uint8" if dtype == "bool" else dtype)
        arrays.append((numbers != 0 if dtype == "bool" else numbers.copy()).reshape(shape))
        start += size
    if start != len(body):
        raise ValueError("numbers that belong to no array")
    return arrays


def unpack(tree, arrays: list, trusted: bool, depth: int = 0):
    """Return the value that a tree of JSON stands for."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if tree is None or type(tree) in (bool, str):
        return tree
    if type(tree) is int:
        if abs(tree) >= MAX_INTEGER:
            raise ValueError("an integer beyond 64 bits")
        return tree
    tag, *rest = tree if type(tree) is list else refuse(tree)

    def inner(x):
        return unpack(x, arrays, trusted, depth + 1)

    if tag == "f" and type(rest[0]) is str:
        return float.fromhex(rest[0])
    if tag in ("a", "g") and type(rest[0]) is int and rest[0] >= 0:
        return arrays[rest[0]] if tag == "a" else arrays[rest[0]].reshape(())[()]
    if tag in ("t", "l"):
        return (tuple if tag == "t" else list)(inner(x) for x in rest)
    if tag == "d":
        return {key: inner(x) for key, x in rest if type(key) is str or refuse(key)}
    if not trusted:
        refuse(tag)
    return {"n": Name, "s": Served}[tag](rest[0]) if tag in ("n", "s") else Object(rest[0], inner(rest[1]))


def check(message: dict) -> None:
    """Refuse what a child may not say: another kind, another field, another type, a text that is too long."""
    kind = message.get("kind")
    fields = FIELDS.get(kind) if type(kind) is str else None
    if fields is None or message.keys() != {"kind", *fields}:
        raise WireError("a message of no known kind")
    for name, expected in fields.items():
        value = message[name]
        texts = value if expected is list and kind != "result" else [value]
        if type(value) is not expected or any(type(x) is str and len(x) > MAX_TEXT for x in texts):
            raise WireError(f"a message whose {name} is wrong")
        if expected is list and kind != "result" and not all(type(x) is str for x in texts):
            raise WireError(f"a message whose {name} is wrong")


def look_up(place, path: str):
    """Follow a dotted path through attributes, and keys of dictionaries; it may not end early."""
    for name in path.split("."):
        place = place[name] if isinstance(place, dict) else getattr(place, name)
    return place
