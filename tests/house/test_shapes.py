"""The shapes in signatures are checked while tests run: nothing imported a stage before the checker was there."""

import jaxtyping
import pytest

from step01_numpy.common.parity.stage import Stage


@pytest.mark.parametrize("name", ["step01_numpy", "step02_torch", "step03_gpu"])
def test_a_stage_is_watched(name):
    with pytest.raises(jaxtyping.TypeCheckError):
        Stage(name).package.softmax("no array")
