"""Frames: what is sent comes back, and nothing else is taken for a frame."""

# ruff: noqa: E501  (one value a line)

import io
import json

import numpy as np
import pytest

from tests.homework.child import wire

VALUES = {
    "numbers": (1, -2, 2.5, float("inf"), True, None, "text", np.float64(3), np.int64(4), np.bool_(True)),
    "arrays": [
        np.arange(6.0).reshape(2, 3),
        np.array([True, False]),
        np.zeros((0, 3)),
        np.float32([1.5]),
        np.array(7),
    ],
    "nested": {"a": [(1, [2, {"b": 3.0}])]},
}


def frame(header, body=b""):
    """Return a frame, whatever its header says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(wire.LENGTHS.pack(len(text), len(body)) + text + body)


def result(**changes):
    """Return the header of a result."""
    message = {"kind": "result", "case": 0, "values": ["l"], "inputs": ["t"], "state": ["d"], "arrays": []}
    return {**message, **changes}


def same(a, b):
    """Tell whether two values are the same, in kind and in number."""
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[x], b[x]) for x in a)
    if isinstance(a, np.ndarray | np.generic):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("name", VALUES)
def test_what_is_sent_comes_back(name):
    sent = {"kind": "answer", "value": VALUES[name]}
    assert same(wire.read(io.BytesIO(wire.encode(sent)), trusted=True), sent)


def test_names_and_objects_go_to_the_child_alone():
    sent = {
        "kind": "case",
        "value": (wire.Name("a:b"), wire.Object("a:C", {"x": np.ones(2)}), wire.Served(0)),
    }
    data = wire.encode(sent)
    got = wire.read(io.BytesIO(data), trusted=True)["value"]
    assert got[0] == wire.Name("a:b")
    assert (got[1].attributes["x"] == 1).all()
    with pytest.raises(wire.WireError):
        wire.read(io.BytesIO(data))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(3, dtype=np.int8), np.arange(3, dtype=np.uint32), np.arange(4.0).astype(">f8"), np.longdouble([1.5]),
        np.arange(12.0).reshape(3, 4).T, np.ma.masked_array([1.0, 2], [True, False]), np.asfortranarray(np.ones((2, 3))),
    ],
)  # fmt: skip
def test_any_array_of_numbers_arrives_as_a_plain_one(value):
    (got,) = wire.read(io.BytesIO(wire.encode({"kind": "answer", "value": [value]})), trusted=True)["value"]
    assert type(got) is np.ndarray
    assert got.dtype.name in wire.DTYPES
    assert (got == np.asarray(value)).all()


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, np.array([None]), np.array(["a"]), 1j, 10**30, {1: 2}, b"x"]
)
def test_what_has_no_form_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        wire.encode({"kind": "answer", "value": value})


BROKEN = {
    "unknown kind": result(kind="grade"),
    "no kind": {"arrays": []},
    "one field more": result(points=100),
    "a field less": {"kind": "result", "case": 0, "arrays": []},
    "another type": result(case=True),
    "a list for a tuple": result(inputs=["l"]),
    "no tag": result(values=[]),
    "unknown tag": result(values=["l", ["x", 1]]),
    "an array that is missing": result(values=["l", ["a", 0]]),
    "an array from behind": result(values=["l", ["a", -1]]),
    "an index that is none": result(values=["l", ["a", True]]),
    "objects": result(arrays=[["|O", [1]]]),
    "text": result(arrays=[["<U1", [1]]]),
    "negative": result(arrays=[["float64", [-1]]]),
    "two negatives": result(arrays=[["float64", [-1, -1]]]),
    "huge": result(arrays=[["float64", [10**30]]]),
    "huge and empty": result(arrays=[["float64", [10**30, 0]]]),
    "too many axes": result(arrays=[["float64", [0] * 9]]),
    "too many arrays": result(arrays=[["float64", [0]]] * 257),
    "arrays that are none": result(arrays=7),
    "a huge integer": result(values=["l", 2**70]),
    "too deep": result(values=["l", json.loads('["l",' * 40 + "1" + "]" * 40)]),
    "a long text": result(values=["l"], kind="error", type="x", text="x" * 5000, line=0),
    "a dict with other keys": result(state=["d", [1, 2]]),
    "a float of other text": result(values=["l", ["f", "one"]]),
    "no object": [1, 2],
    "NaN": b'{"kind": NaN, "arrays": []}',
    "no JSON": b"{kind}",
    "no UTF-8": b"\xff\xfe",
    "brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_frame_is_refused(name):
    with pytest.raises(wire.WireError):
        wire.read(frame(BROKEN[name]))


def test_a_result_is_taken():
    """What the broken ones are made of is a message."""
    assert wire.read(frame(result()))["kind"] == "result"


def test_lengths_are_held_against_what_comes():
    with pytest.raises(wire.WireError):
        wire.read(io.BytesIO(wire.LENGTHS.pack(2**19, 0)))
    with pytest.raises(wire.WireError):
        wire.read(io.BytesIO(wire.LENGTHS.pack(2, 2**27)))
    with pytest.raises(EOFError):
        wire.read(io.BytesIO(wire.LENGTHS.pack(10, 0) + b"{}"))
    with pytest.raises(wire.WireError):
        wire.read(frame(result(arrays=[["float64", [1]]]), b"1234567"))
    with pytest.raises(wire.WireError):
        wire.read(frame(result(), b"left over"))


def test_truth_is_0_or_1():
    """A byte of 7 in a boolean array would be neither."""
    header = result(values=["l", ["a", 0]], arrays=[["bool", [2]]])
    (got,) = wire.read(frame(header, b"\x07\x00"))["values"]
    assert got.tobytes() == b"\x01\x00"
