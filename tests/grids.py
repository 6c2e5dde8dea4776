"""
What `make test` leaves to `make proof`: of a grid of cases, those that show no new value of any parameter.

`@pytest.mark.grid` says that the parameters of a test span a grid. `make test` runs as few of its cases as
hold every value of every parameter, with `@pytest.mark.grid(pairs=True)` every pair of values of two
parameters; `make proof` runs them all. `@pytest.mark.proof` leaves a test, or a case of it, to `make proof`.
"""

from collections import Counter, defaultdict
from itertools import combinations

import pytest


@pytest.hookimpl(tryfirst=True)  # before -m "not proof" is applied
def pytest_collection_modifyitems(config, items):
    if "grid" in config.option.markexpr:  # whole grids are asked for, or none
        return
    tests = defaultdict(list)
    for item in items:
        if item.get_closest_marker("grid"):
            tests[item.nodeid.split("[")[0]].append(item)
    for cases in tests.values():
        # Values are known by identity: they need not be hashable, and a grid repeats the same ones.
        values = [[(name, id(value)) for name, value in case.callspec.params.items()] for case in cases]
        wanted = sample(values, 2 if cases[0].get_closest_marker("grid").kwargs.get("pairs") else 1)
        for i, case in enumerate(cases):
            if i not in wanted:
                case.add_marker(pytest.mark.proof)


def sample(cases: list, size: int) -> set:
    """
    Return the numbers of cases that hold every set of `size` values which one of the cases holds.

    In turn the case with most that is new; of equals the one whose values were taken least often, so that
    all parameters change from case to case.
    """
    sets = [set(combinations(case, min(size, len(case)))) for case in cases]
    chosen, seen, taken = set(), set(), Counter()
    while True:
        new, _, i = max(
            (len(sets[i] - seen), -sum(taken[x] for x in case), -i) for i, case in enumerate(cases)
        )
        if not new:
            return chosen
        chosen.add(-i)
        seen |= sets[-i]
        taken.update(cases[-i])
