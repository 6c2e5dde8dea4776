"""
What `make test` leaves to `make proof`: of a large grid of cases, those that show nothing new of any parameter.

`@pytest.mark.grid` on a test says that its parameters span a grid. `make test` runs the cases in which a value
of a parameter occurs for the first time, so every value of every parameter is tested; `make proof` runs them
all. `@pytest.mark.grid(pairs=True)` keeps every pair of values instead.
`@pytest.mark.proof` leaves a test, or a single case of one, to `make proof` altogether.
"""

from itertools import combinations

import pytest


@pytest.hookimpl(tryfirst=True)  # before -m "not proof" is applied
def pytest_collection_modifyitems(items):
    seen = set()
    for item in items:
        grid = item.get_closest_marker("grid")
        if grid is None:
            continue
        values = sorted(item.callspec.indices.items())
        sets = list(combinations(values, 2 if grid.kwargs.get("pairs") and len(values) > 1 else 1))
        new = {(item.nodeid.split("[")[0], *x) for x in sets} - seen
        seen |= new
        if not new:
            item.add_marker(pytest.mark.proof)
