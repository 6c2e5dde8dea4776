"""The room's tests run as graders do: without the checker of shapes."""

import jaxtyping
import pytest

from tests.homework.torch_shared import one_process


@pytest.fixture(autouse=True, scope="module")
def as_graders_run():
    """Switch the checker off: a mistake may return other shapes, and a check costs more than a call."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def torch_once():
    """Import PyTorch once for all submissions, where each would have a process of its own."""
    with one_process():
        yield
