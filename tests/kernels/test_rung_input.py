"""What rungs refuse, and which rung is chosen: a kernel itself checks nothing."""

import numpy as np
import pytest

import step03_gpu
from step03_gpu.kernels import FOLDER, fitting, source, tensor_cores
from step03_gpu.kernels.rungs import PROBLEM, RUNGS, choose, state_problem

pytestmark = pytest.mark.usefixtures("unchecked")


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


Q, K, V = zeros(2, 6, 5, 32), zeros(2, 3, 7, 32), zeros(2, 3, 7, 32)
LSE = zeros(2, 6, 5)
ODD = np.frombuffer(bytes(Q.nbytes + 4), np.float32, offset=4).reshape(Q.shape)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rung": 9}, r"rung is 9; expected one of \(0, 1, 2, 3, 4"),
        ({"rung": -1}, "rung is -1; expected one of"),
        ({"rung": True}, "rung is True; expected one of"),
        ({"rung": 1.5}, "rung is 1.5; expected one of"),
        ({"rung": 3, "bias": zeros(5, 7)}, "rung 3 takes no bias; rung=0 does"),
        ({"rung": 1, "softcap": 2.0}, "rung 1 takes no softcap; rung=0 does"),
        ({"rung": 5}, "rung 5 takes float16 or bfloat16, not float32"),
    ],
)
def test_a_rung_that_does_not_cover_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        step03_gpu.flash_attention(Q, K, V, **options)
    with pytest.raises(ValueError, match=message):
        step03_gpu.flash_attention_backward(Q, Q, K, V, Q, LSE, **options)


def test_head_sizes_that_no_kernel_has():
    q = zeros(1, 1, 4, 160)
    with pytest.raises(ValueError, match="rung 2 takes head sizes up to 128, not 160; rung=0 takes any"):
        step03_gpu.flash_attention(q, q, q, rung=2)
    with pytest.raises(ValueError, match="head sizes up to 128, not 160"):
        step03_gpu.flash_attention(q[..., :8].copy(), q[..., :8].copy(), q, rung=4)


def test_other_float_dtypes():
    q = zeros(1, 1, 4, 32, dtype=np.longdouble)
    with pytest.raises(ValueError, match="rung 1 takes float32, float64, float16 or bfloat16, not "):
        step03_gpu.flash_attention(q, q, q, rung=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": Q[0]}, r"q has shape \(6, 5, 32\); rung 4 takes \(B, H, L, D\) with D in \(32, 64, 96, 128\)"),
        ({"q": zeros(2, 6, 5, 40)}, r"q has shape \(2, 6, 5, 40\); rung 4 takes"),
        ({"q": zeros(70000, 1, 1, 32)}, "rung 4 takes B and H up to 65535"),
        ({"q": zeros(2, 6, 5, 32, dtype=np.int32)}, "q has dtype int32; rung 4 takes float32"),
        ({"q": zeros(2, 6, 32, 5).swapaxes(2, 3)}, "q is not C-contiguous; kernels read it as if it were"),
        ({"q": ODD}, "q starts at address .*; kernels read 16 bytes at once"),
        ({"k": K.astype(np.float64)}, "k has dtype float64; expected float32"),
        ({"k": zeros(2, 4, 7, 32)}, r"k has shape \(2, 4, 7, 32\); expected \(2, H_kv, 7, 32\)"),
        ({"k": zeros(1, 3, 7, 32)}, r"k has shape \(1, 3, 7, 32\); expected \(2, 3, 7, 32\)"),
        ({"k": zeros(3, 7, 32)}, r"k has shape \(3, 7, 32\); expected \(2, H_kv"),
        ({"v": V[:, :, :6].copy()}, r"v has shape \(2, 3, 6, 32\); expected \(2, 3, 7, 32\)"),
        ({"v": V[:, :, ::-1]}, "v is not C-contiguous"),
        ({"mask": zeros(1, 1, 5, 7)}, "mask has dtype float32; expected bool"),
        ({"mask": zeros(5, 7, dtype=bool)}, r"mask has shape \(5, 7\); expected \(2, 6, 5, 7\)"),
        ({"mask": zeros(1, 3, 5, 7, dtype=bool)}, r"mask has shape .*; expected \(1, 6, 5, 7\)"),
        ({"d_out": zeros(2, 6, 4, 32)}, r"d_out has shape \(2, 6, 4, 32\); expected \(2, 6, 5, 32\)"),
        ({"out": Q.astype(np.float16)}, "out has dtype float16; expected float32"),
        ({"lse": LSE.astype(np.float64)}, "lse has dtype float64; expected float32"),
        ({"lse": zeros(2, 6, 4)}, r"lse has shape \(2, 6, 4\); expected \(2, 6, 5\)"),
    ],
)
def test_arrays_that_a_kernel_would_misread(changes, message):
    arrays = {"d_out": Q, "q": Q, "k": K, "v": V, "out": Q, "lse": LSE, "mask": None} | changes
    problem = state_problem(Q, K, None, scale=1.0)
    with pytest.raises(ValueError, match=message):
        fitting.attend_backward(4, **arrays, problem=problem)
    if not {"d_out", "out", "lse"} & changes.keys():
        with pytest.raises(ValueError, match=message):
            fitting.attend(4, *(arrays[name] for name in ("q", "k", "v", "mask")), problem)


def test_host_arrays_go_the_way_of_array_operations():
    assert choose(None, Q, V) == 0
    assert [choose(rung, Q, V) for rung in (0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4]


def test_a_gpu_gets_the_best_rung_that_covers_the_call(monkeypatch):
    from step03_gpu.kernels import rungs

    monkeypatch.setattr(rungs, "array_module", lambda x: None)  # any module but NumPy's
    half = zeros(1, 1, 4, 32, dtype=np.float16)
    assert choose(None, half, half) == 5
    assert choose(None, Q, V) == 4
    assert choose(None, Q.astype(np.float64), V.astype(np.float64)) == 4
    assert choose(None, Q, V, bias=zeros(5, 7)) == 0
    assert choose(None, Q, V, softcap=3.0) == 0
    assert choose(None, zeros(1, 1, 4, 160), V) == 0


def test_every_header_is_put_in_once():
    for path in sorted(FOLDER.glob("*.cu")):
        text = source(path.name)
        assert '#include "' not in text
        assert text.count("struct Problem {") == 1
        assert f'#line 1 "{path.name}"' in text


def test_the_problem_is_laid_out_as_in_c():
    assert PROBLEM.fields["scale"][1] == 32  # behind seven int and their padding
    assert PROBLEM.itemsize == 72


def test_ladder_has_no_gaps():
    assert list(RUNGS) == list(range(1, len(RUNGS) + 1))


@pytest.mark.parametrize("rung", [3, 4, 5])
def test_rungs_with_asynchronous_copies_need_compute_capability_8(monkeypatch, rung):
    class Old:
        """A GPU's array, as far as the rungs ask."""

        device = type("Device", (), {"compute_capability": "75"})

    monkeypatch.setattr(tensor_cores, "array_module", lambda x: None)
    message = f"rung {rung} takes a GPU of compute capability 8.0 or later; this one has 7.5"
    assert RUNGS[rung].lacking(Old()) == message
    assert RUNGS[1].lacking(Old()) is None
