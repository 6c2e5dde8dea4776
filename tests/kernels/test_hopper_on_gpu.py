"""What rung 6 asks of a machine with a GPU, by doubles of NVRTC and of the driver's library."""

from pathlib import Path

import numpy as np
import pytest

from step03_gpu import flash_attention
from step03_gpu.kernels import binary, hopper, launch, tensor_map
from step03_gpu.kernels.rungs import RUNGS, choose
from tests.device_array import Device, DeviceArray, RawModule
from tests.kernels import hopper_double

pytestmark = pytest.mark.usefixtures("cupy_double", "unchecked")
HALF = np.float16


@pytest.fixture
def nvrtc(monkeypatch, tmp_path):
    launch.kernels.cache_clear()
    yield hopper_double.install(monkeypatch, tmp_path)
    launch.kernels.cache_clear()
    RawModule.launched.clear()


@pytest.mark.parametrize("size", [24, 64, 128])
def test_the_forward_is_compiled_for_hopper_alone_and_launched(nvrtc, size):
    q, k = (DeviceArray(np.zeros(shape, HALF)) for shape in ((2, 4, 130, size), (2, 2, 70, size)))
    out, lse = flash_attention(q, k, k, rung=6)
    assert (out.shape, lse.shape) == (q.shape, q.shape[:-1])
    assert "-arch=sm_90a" in nvrtc.options
    assert not nvrtc.programs, "a program of NVRTC was not destroyed"
    assert RawModule.launched == [f"_Zattend_float16__{128 if size > 64 else 64}_"]


def test_maps_say_what_the_driver_wants_to_know(nvrtc):
    x = DeviceArray(np.zeros((2, 3, 70, 128), HALF))
    told = tensor_map.tensor_map(x, 128)
    assert (told.shape, told.dtype.itemsize) == ((), 128)
    told = np.frombuffer(told.tobytes(), np.uint64)
    assert told[0] == x.data.ptr
    assert told[1] == 6 << 32 | 3
    np.testing.assert_array_equal(told[2:5], [128, 70, 6])
    np.testing.assert_array_equal(told[7:9], [256, 70 * 256])
    np.testing.assert_array_equal(told[12:15], [64, 128, 1])


def test_what_the_driver_refuses_is_an_error(nvrtc):
    with pytest.raises(RuntimeError, match=r"cuTensorMapEncodeTiled answered 1 for sizes \(128, 70, 6\)"):
        tensor_map.tensor_map(DeviceArray(np.zeros((2, 3, 70, 128), HALF)), 300)


def test_what_does_not_compile_is_told_in_the_compilers_words(nvrtc):
    with pytest.raises(RuntimeError, match=r"-arch=sm_90: NVRTC_ERROR_COMPILATION\nInstruction 'wgmma"):
        binary.kernels("wgmma", ("f<int>",), (), "sm_90")
    assert not nvrtc.programs


def test_machine_code_stays_where_other_devices_find_it(nvrtc):
    found = [binary.kernels("wgmma", (name,), (), "sm_90a") for name in ("f<int>", "g<int>")]
    assert [list(x) for x in found] == [["f<int>"], ["g<int>"]]
    files = sorted(Path(binary._folder().name).iterdir())
    assert [x.read_text() for x in files[-2:]] == ["_Zf_int_", "_Zg_int_"]


@pytest.mark.parametrize(("found", "words"), [("80", "8.0"), ("89", "8.9"), ("100", "10.0"), ("120", "12.0")])
def test_other_gpus_are_told_what_is_needed(monkeypatch, found, words):
    monkeypatch.setattr(Device, "compute_capability", found)
    x = DeviceArray(np.zeros((1, 1, 3, 64), HALF))
    needed = f"rung 6 takes a GPU of compute capability 9.0 .Hopper.; this one has {words}"
    with pytest.raises(ValueError, match=needed):
        flash_attention(x, x, x, rung=6)


def test_it_waits_to_be_asked_for():
    """Until it has been measured: on a Hopper GPU too a call that names no rung gets rung 5."""
    x = DeviceArray(np.zeros((1, 1, 3, 64), HALF))
    assert hopper.lacking(x) is None
    assert (choose(None, x, x), choose(6, x, x)) == (5, 6)
    assert [n for n, rung in RUNGS.items() if not rung.by_itself] == [6]
