"""
What kernels are given on a machine with GPUs, by a double: there the tests of the rungs run on the GPU, and
what they compute lies on the one that holds the inputs, whichever is the current one.
"""

import numpy as np
import pytest

from step03_gpu import arrays, flash_attention, flash_attention_backward
from step03_gpu.kernels import launch
from step03_gpu.kernels.rungs import RUNGS
from tests.device_array import Device, DeviceArray, RawModule
from tests.kernels import hopper_double
from tests.kernels import test_rungs as rungs
from tests.kernels import test_tensor_cores as tensor_cores

pytestmark = pytest.mark.usefixtures("cupy_double", "unchecked")


@pytest.fixture(autouse=True)
def _no_kernel_is_kept(monkeypatch, tmp_path_factory):
    hopper_double.install(monkeypatch, tmp_path_factory.getbasetemp())
    launch.kernels.cache_clear()
    yield
    launch.kernels.cache_clear()
    RawModule.launched.clear()


@pytest.mark.parametrize("size", [32, 24])
@pytest.mark.parametrize("rung", RUNGS)
def test_results_and_scratch_lie_where_q_does(rung, size):
    with Device(1):
        q, k, v, d_out = (DeviceArray(np.zeros((1, 2, 5, size), np.float16)) for _ in range(4))
        mask = DeviceArray(np.ones((5, 5), bool))
    assert Device().id == 0
    out, lse = flash_attention(q, k, v, mask, rung=rung, scale=-1.0)
    gradients = flash_attention_backward(d_out, q, k, v, out, lse, mask, rung=rung, scale=-1.0)
    assert [x.device.id for x in (out, lse, *gradients)] == [1] * 5
    assert len(RawModule.launched) >= 4


@pytest.mark.parametrize(
    "test",
    [
        lambda rng: tensor_cores.check(tensor_cores.arrays(rng, "float16", 32, 3, 4), "float16"),
        tensor_cores.test_nan_goes_its_way,
        lambda rng: rungs.check(rng, 3, rungs.qkv(rng, 3, 4)),
        lambda rng: rungs.test_nan_reaches_the_queries_that_see_it_and_no_other(rng, 2),
        rungs.test_a_backward_may_follow_another_rung,
    ],
)
def test_tests_of_the_rungs_run_on_the_gpu(monkeypatch, rng, test):
    """The double computes nothing, so they fail: were they emulated they would pass."""
    monkeypatch.setattr(arrays, "default_device", lambda: "gpu")
    with pytest.raises(AssertionError):
        test(rng)
    assert RawModule.launched
