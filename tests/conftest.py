"""One test body for every stage: the `stage` fixture gives the package, NumPy arrays in and out."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import threadpoolctl
import torch

os.environ["HF_HUB_OFFLINE"] = "1"  # before the library is imported: no test asks the network
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported: its kernels then run on the CPU
torch.set_num_threads(1)  # the arrays here are so small that threads would mostly wait for each other, and
threadpoolctl.threadpool_limits(1)  # other tests run beside; what is shared between threads takes `threads`
with threadpoolctl.threadpool_limits():  # whoever sets a limit keeps other threads from it: let go of it
    pass

# Shapes in signatures are checked from here on: this must come before the stages are imported. Of step01
# only the modules themselves: `common/` holds text for the most part, where checks cost much, show little.
STEP01 = [
    f"step01_numpy.{path.stem}" for path in (Path(__file__).parent.parent / "step01_numpy").glob("*.py")
]
STEP01.append("step01_numpy.engine")
if find_spec("beartype"):  # a GPU machine may lack it, and the tests hold without
    jaxtyping.install_import_hook([*STEP01, "step02_torch", "step03_gpu"], "beartype.beartype")

from step01_numpy.common.parity.plugin import find_tests  # noqa: E402
from step01_numpy.common.parity.signatures import NotOffered  # noqa: E402
from step01_numpy.common.parity.stage import Stage  # noqa: E402
from tests import grids  # noqa: E402

pytest.register_assert_rewrite("tests.browser")
from tests.browser import browser  # noqa: E402, F401  (a fixture)
from tests.progress import Heartbeat  # noqa: E402

STAGES = ["step01_numpy", "step02_torch", "step03_gpu"]
ENGINE = "tests.step01_engine"  # step 1 once more, with its engine in place of the algorithm
RUNGS = "tests.step03_rungs"  # step 3 once more, with its kernels on the emulator
FAMILY = ("attention", "bad_input", "flash_attention", "heads", "onnx", "options")
ATTENDING = {"tests.parity.test_parity", *(f"tests.attention.test_{name}" for name in FAMILY)}
NUMBERS = {"tests.attention.test_flash_range", "tests.attention.test_option_grid"}  # too many for an emulator
BY_FUNCTION = ATTENDING - {"tests.attention.test_heads"} | NUMBERS  # where flash attention is called by name


def pytest_addoption(parser):
    parser.addoption(
        "--stage",
        action="append",
        metavar="PACKAGE",
        help="test this package instead of the three stages; may be given several times",
    )


def others(config):
    """Return the packages asked for that are not ours: of them is asked no more than they offer."""
    return [name for name in config.getoption("stage") or [] if name not in (*STAGES, ENGINE, RUNGS)]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    for _ in find_tests(others(config)):  # each can be imported, and offers something
        pass
    config.pluginmanager.register(grids)
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Heartbeat(config.pluginmanager.getplugin("terminalreporter")))
    else:  # tests run here, and some start Python where no file can be written whole:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # what it kept of compiled sources would be cut


def pytest_collection_modifyitems(config, items):
    """For somebody's own package keep what concerns it: the tests of a stage, those of our layout aside."""
    if others(config):
        kept = [x for x in items if "stage" in x.fixturenames and x.get_closest_marker("ours") is None]
        config.hook.pytest_deselected(items=[x for x in items if x not in set(kept)])
        items[:] = kept


def skip_what_is_not_offered(item):
    """Let a test run, and skip it where it asks another's package for what that does not have."""
    try:
        return (yield)
    except AttributeError as error:
        asked = others(item.config) and item.callspec.params["stage"]
        if asked not in others(item.config) or not was_asked(asked, error):
            raise
        pytest.skip(str(error) if isinstance(error, NotOffered) else f"{asked} has no {error.name}")


def was_asked(package, error):
    """Tell whether an attribute was missed by us, in that package, and not by code of its own."""
    where = error.__traceback__
    while where.tb_next:
        where = where.tb_next
    own = where.tb_frame.f_globals["__name__"].split(".")[0] == package.split(".")[0]
    return not own and (isinstance(error, NotOffered) or error.obj is sys.modules[package])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from skip_what_is_not_offered(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from skip_what_is_not_offered(item))


def stages(metafunc):
    """Return the stages of a test module: those asked for, or all; engine and kernels where attention is."""
    module = metafunc.module.__name__
    engine, kernels = [ENGINE] * (module in BY_FUNCTION), [RUNGS] * (module in ATTENDING)
    return metafunc.config.getoption("stage") or [*STAGES, *engine, *kernels]


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
def threads():
    """Let BLAS have four threads, on any machine, and with it whatever shares its work between as many."""
    limit = threadpoolctl.threadpool_limits(4, user_api="blas")
    with threadpoolctl.threadpool_limits():  # let go of it, as above
        libraries = [x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]
        assert all(x["num_threads"] == 4 for x in libraries)
    yield 4
    limit.restore_original_limits()


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
