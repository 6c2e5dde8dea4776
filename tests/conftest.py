"""One test body for every stage: the `stage` fixture gives the package, NumPy arrays in and out."""

import os
from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"  # before the library is imported: no test asks the network
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported: its kernels then run on the CPU
torch.set_num_threads(1)  # the tensors here are so small that threads would mostly wait for each other

# Shapes in signatures are checked from here on: this must come before the stages are imported. Of step01
# only the modules themselves: `common/` holds text for the most part, where checks cost much, show little.
STEP01 = [
    f"step01_numpy.{path.stem}" for path in (Path(__file__).parent.parent / "step01_numpy").glob("*.py")
]
STEP01.append("step01_numpy.engine")
if find_spec("beartype"):  # a GPU machine may lack it, and the tests hold without
    jaxtyping.install_import_hook([*STEP01, "step02_torch", "step03_gpu"], "beartype.beartype")

from step01_numpy.common.parity.stage import Stage  # noqa: E402

STAGES = ["step01_numpy", "step02_torch", "step03_gpu"]
RUNGS = "tests.step03_rungs"  # step 3 once more, with its kernels on the emulator
FAMILY = ("attention", "bad_input", "flash_attention", "heads", "onnx")
ATTENDING = {"tests.parity.test_parity", *(f"tests.attention.test_{name}" for name in FAMILY)}


def pytest_addoption(parser):
    parser.addoption(
        "--stage",
        action="append",
        metavar="PACKAGE",
        help="test this package instead of the three stages; may be given several times",
    )


def stages(metafunc):
    """Return the stages of a test module: those asked for, or all; the kernels where attention is tested."""
    kernels = [RUNGS] if metafunc.module.__name__ in ATTENDING else []
    return metafunc.config.getoption("stage") or [*STAGES, *kernels]


def pytest_generate_tests(metafunc):
    if "stage" in metafunc.fixturenames:
        metafunc.parametrize("stage", stages(metafunc), indirect=True)


@pytest.fixture
def stage(request):
    """A stage seen from outside."""
    return Stage(request.param)


@pytest.fixture
def rng():
    """A seeded source of inputs and upstream gradients."""
    return np.random.default_rng(20170612)


@pytest.fixture
def unchecked():
    """Switch the shape checker off, so that the errors seen are the stages' own."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def cupy_double(monkeypatch):
    """Let step 3 find a CuPy whose arrays are the host's, but refuse to meet them."""
    from tests.device_array import install

    install(monkeypatch)
