"""Shapes in signatures are checked while tests run: nothing imports a stage before the checker is there."""

from importlib.util import find_spec

import jaxtyping
import pytest

from step01_numpy.common.parity.stage import Stage


@pytest.mark.skipif(find_spec("beartype") is None, reason="beartype is not installed: no shape is checked")
@pytest.mark.parametrize("name", ["step01_numpy", "step02_torch", "step03_gpu"])
def test_a_stage_is_watched(name):
    with pytest.raises(jaxtyping.TypeCheckError):
        Stage(name).package.softmax("no array")
