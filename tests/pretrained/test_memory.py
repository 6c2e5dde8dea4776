"""
Memory of opening a model: one copy of its weights, in float32, whatever the file holds.

The file is a random GPT-2 of 51 million weights, 204 MB in float32. A mapped page counts once it is read. In
November 2026 the peak grew by 0.01 sizes when step01 opened a float32 file and 1.02 when all was used, 1.03
for bfloat16, and 2.03 in step02.
"""

import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from tests.pretrained.tiny_tokenizers import byte_pairs

SIZES = {"n_embd": 512, "n_layer": 8, "n_head": 8, "n_positions": 64, "vocab_size": 50257}
# The peak of a process, in KiB: VmHWM starts anew with each program, which getrusage's does not.
SCRIPT = """
import sys, importlib, ml_dtypes, numpy as np, tokenizers
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.pretrained.directory import load_model
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
backend = Backend(importlib.import_module(sys.argv[1]))
before = peak()
model = load_model(sys.argv[2], backend).model
opened = peak()
backend.logits(model, np.arange(4)[None])
print(opened - before, peak() - before)
"""


def tensors(d, n_layers, vocab_size):
    """Yield the names and shapes of a GPT-2's weights."""
    yield from {"wte.weight": (vocab_size, d), "wpe.weight": (64, d)}.items()
    yield from {"ln_f.weight": (d,), "ln_f.bias": (d,)}.items()
    linear = {
        "attn.c_attn": (d, 3 * d),
        "attn.c_proj": (d, d),
        "mlp.c_fc": (d, 4 * d),
        "mlp.c_proj": (4 * d, d),
    }
    for i in range(n_layers):
        for name, shape in linear.items():
            yield f"h.{i}.{name}.weight", shape
            yield f"h.{i}.{name}.bias", shape[1:]
        yield from (
            (f"h.{i}.{name}.{part}", (d,)) for name in ("ln_1", "ln_2") for part in ("weight", "bias")
        )


@pytest.fixture(scope="module", params=["F32", "BF16"])
def directory(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    byte_pairs(path)
    (path / "config.json").write_text(json.dumps({"model_type": "gpt2", **SIZES}))
    rng, header, end = np.random.default_rng(0), {}, 0
    dtype = {"F32": np.float32, "BF16": ml_dtypes.bfloat16}[request.param]
    named = dict(tensors(SIZES["n_embd"], SIZES["n_layer"], SIZES["vocab_size"]))
    for name, shape in named.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(dtype).itemsize
        header[name] = {"dtype": request.param, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in named.values():
            file.write((0.1 * rng.random(shape, np.float32)).astype(dtype).tobytes())
    return path, request.param, sum(int(np.prod(shape)) for shape in named.values())


# How much the peak may grow, in sizes of the weights in float32: opened, and once all has been read.
# step02's tensors are a second copy, in memory of their own.
BOUNDS = {
    ("step01_numpy", "F32"): (0.1, 1.1),
    ("step01_numpy", "BF16"): (1.1, 1.1),
    ("step02_torch", "F32"): (2.1, 2.1),
    ("step02_torch", "BF16"): (2.1, 2.1),
}


@pytest.mark.grid
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
@pytest.mark.parametrize("stage_name", ["step01_numpy", "step02_torch"])
def test_the_peak(directory, stage_name):
    path, dtype, n_weights = directory
    assert 200e6 < 4 * n_weights < 210e6
    command = [sys.executable, "-c", SCRIPT, stage_name, path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    opened, used = (int(x) * 1024 / (4 * n_weights) for x in out.split())
    most_opened, most_used = BOUNDS[stage_name, dtype]
    assert opened <= most_opened
    assert used <= most_used
