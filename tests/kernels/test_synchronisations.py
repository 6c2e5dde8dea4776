"""How often a token waits for the GPU: by a double, of which it is counted what the host reads."""

import numpy as np
import pytest

import step01_numpy
import step03_gpu
from step01_numpy.common.training.backend import Backend
from step03_gpu import arrays
from step03_gpu.kernels import launch
from tests.device_array import DeviceArray, RawModule
from tests.tiny import tiny_checkpoint

pytestmark = pytest.mark.usefixtures("cupy_double", "unchecked")
READS = ("get", "__bool__", "__int__", "__float__", "__array__")  # of numbers; an index by a mask is one too
GPT2 = {"architecture": "decoder", "positions": "learned", "window": None, "norm_first": True}
MISTRAL = {
    **GPT2,
    "positions": "rotary",
    "window": 4,
    "n_heads": 2,
    "n_kv_heads": 1,
    "norm": "rms",
    "bias": False,
}


@pytest.fixture
def reads(monkeypatch):
    """A list of what the host has read since it was cleared."""
    found = []

    def counted(name):
        original = getattr(DeviceArray, name)

        def read(self, *args):
            found.append(name)
            return original(self, *args)

        monkeypatch.setattr(DeviceArray, name, read)

    def indexed(self, key, original=DeviceArray.__getitem__):
        keys = key if isinstance(key, tuple) else (key,)
        found.extend("mask" for x in keys if isinstance(x, DeviceArray) and x.dtype == bool)
        return original(self, key)

    for name in READS:
        counted(name)
    monkeypatch.setattr(DeviceArray, "__getitem__", indexed)
    monkeypatch.setattr(arrays, "default_device", lambda: "gpu")
    launch.kernels.cache_clear()
    yield found
    launch.kernels.cache_clear()
    RawModule.launched.clear()


def begin(inputs, **model):
    backend = Backend(step03_gpu, step01_numpy, step03_gpu.FLASH)
    loaded = backend.prepare(backend.load(tiny_checkpoint(**model)))
    return backend.start(loaded, *inputs)


PROMPT = np.array([[5, 6, 7], [7, 8, 9]])
PADDED = PROMPT, np.array([[False, True, True], [True, True, True]])


@pytest.mark.parametrize(
    ("inputs", "model"),
    [((PROMPT,), {}), ((PROMPT,), GPT2), (PADDED, GPT2), ((PROMPT,), MISTRAL), (PADDED, MISTRAL)],
    ids=["2017", "GPT-2", "GPT-2 padded", "Mistral", "Mistral padded"],
)
def test_a_token_waits_for_its_logits_alone(reads, inputs, model):
    decoding = begin(inputs, **model)
    for token in (2, 3, 4):
        reads.clear()
        RawModule.launched.clear()
        decoding.step(np.full(2, token))
        decoding.reorder(np.array([1, 0]))
        assert reads == ["get"]
        assert any(name.startswith("attend_split") for name in RawModule.launched)


@pytest.mark.usefixtures("reads")
def test_what_is_not_in_range_is_refused_all_the_same():
    decoding = begin((PROMPT,), **GPT2)
    with pytest.raises(ValueError, match="tokens holds token 90; the vocabulary has"):
        decoding.step(np.array([3, 90]))
    for _ in range(24 - 3):
        decoding.step(np.array([3, 4]))
    with pytest.raises(ValueError, match="sequence length is 25; max_positions is 24"):
        decoding.step(np.array([3, 4]))
    with pytest.raises(ValueError, match="tokens holds token 90"):
        decoding.model(step03_gpu.from_numpy(np.array([[3, 90]])))
