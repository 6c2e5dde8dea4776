"""The ranks that all tests of several devices share."""

import pytest

from tests.devices.ranks import Ranks


@pytest.fixture(scope="package")
def ranks():
    """Four processes, for all tests: starting them takes longer than all that they do."""
    ranks = Ranks(4)
    yield ranks
    ranks.close()
