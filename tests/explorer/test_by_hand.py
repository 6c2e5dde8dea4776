"""By hand equals step01 for every switch, and each cell says the arithmetic that gives its number."""

from itertools import product
from math import exp

import numpy as np
import pytest

import step01_numpy as step01
from tests.explorer.node import needs_node, run

pytestmark = needs_node
SWITCHES = ("scale", "causal", "padding", "heads")
TABLES = """
const tables = found => Object.entries(found).filter(([table]) => table !== "largest");
const cells = (found, state) => tables(found).flatMap(([table, heads]) => heads.flatMap((rows, h) =>
  rows.flatMap((row, i) => row.map((x, j) => { const cell = [table, h, i, j];
    return {cell, x, made: madeFrom(state, cell), said: arithmetic(state, found, cell),
            text: sentence(state, found, cell), guess: sentence(state, found, cell, true)}; }))));
answer(asked.map(given => { const state = {...courseState(), ...given}, found = byHand(state);
  return {state, found, cells: cells(found, state), back: fromHash(toHash(state))}; }));
"""


def numbers(x):
    """Return nested lists as an array; "-inf" is what JSON has no number for."""
    return np.array(x, dtype=object).astype(float)


def by_step01(state):
    """Compute the same with step01."""
    x = np.array(state["x"])
    projected = [step01.linear(x, np.array(state[name])) for name in ("w_q", "w_k", "w_v")]
    q, k, v = projected
    if state["heads"]:
        q, k, v = (y.T[:, :, None] for y in projected)  # (2 heads, 3, 1)
    mask = step01.padding_mask(np.array([2 if state["padding"] else 3]), 3)[0, 0]
    options = {"causal": state["causal"], "scale": None if state["scale"] else 1.0}
    out, weights = step01.scaled_dot_product_attention(q, k, v, np.broadcast_to(mask, (3, 3)), **options)
    out = out[..., 0].T if state["heads"] else out
    return {"q": projected[0], "k": projected[1], "v": projected[2], "weights": weights, "out": out}


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """Every setting of the switches, with the course's numbers and with others."""
    rng = np.random.default_rng(3)
    other = {
        name: rng.normal(size=(n, 2)).round(2).tolist()
        for name, n in zip(("x", "w_q", "w_k", "w_v"), (3, 2, 2, 2), strict=True)
    }
    settings = [dict(zip(SWITCHES, values, strict=True)) for values in product([False, True], repeat=4)]
    return run(
        TABLES,
        [{**setting, **numbers} for setting in settings for numbers in ({}, other)],
        tmp_path_factory.mktemp("hand"),
    )


def test_every_switch(every):
    assert len(every) == 32
    for one in every:
        for name, right in by_step01(one["state"]).items():
            found = numbers(one["found"][name])
            np.testing.assert_allclose(
                found if right.ndim == 3 else found[0], right, rtol=0, atol=1e-10, err_msg=str(one["state"])
            )


def test_the_courses_numbers(every):
    plain, causal, padded = (
        next(x for x in every if [x["state"][n] for n in SWITCHES] == list(wanted))
        for wanted in ((True, False, False, False), (True, True, False, False), (True, False, True, False))
    )
    close = {"rtol": 0, "atol": 5.1e-5}
    np.testing.assert_allclose(
        plain["found"]["out"][0], [[1.0100, 1.0641], [0.2040, 0.7057], [3.4989, 2.2427]], **close
    )
    np.testing.assert_allclose(
        causal["found"]["out"][0], [[0.6038, 0.7434], [-0.0062, 0.6072], [3.4989, 2.2427]], **close
    )
    np.testing.assert_allclose(
        padded["found"]["out"][0], [[0.0992, 0.6307], [-0.0062, 0.6072], [0.3111, 0.6780]], **close
    )


def value_of(text):
    """Compute what a sentence says."""
    text = text.replace("−∞", "(-1e999)").replace("−", "-").replace("·", "*")
    return eval(text, {"exp": exp, "__builtins__": {}})


def test_every_sentence_computes_its_number(every):
    """With the four places that are shown, the arithmetic gives the number shown but for what they round."""
    for one in every:
        for cell in one["cells"]:
            what, how, shown = cell["said"]
            assert cell["text"].endswith(shown)
            assert cell["guess"] == cell["text"][: len(cell["text"]) - len(shown)] + "?"
            assert value_of(shown) == pytest.approx(float(cell["x"]), abs=5.1e-5)
            if how:
                assert value_of(how) == pytest.approx(
                    float(cell["x"]), abs=1e-3 * max(1, abs(float(cell["x"])))
                ), cell["text"]
            assert what[0].islower() or what.startswith("W_")


def test_the_sentence_of_the_course(every):
    (one,) = (
        x
        for x in every
        if [x["state"][n] for n in SWITCHES] == [True, False, False, False] and x["state"]["x"][0][0] == 1.16
    )
    said = {tuple(x["cell"]): x["text"] for x in one["cells"]}
    assert (
        said["scores", 0, 1, 2]
        == "Second asks third: (1.1063 · (−0.9914) + 0.7890 · (−2.4152)) · 0.7071 = −2.1230"
    )
    assert (
        said["exp", 0, 1, 2]
        == "Second asks third, less the row's largest score: exp(−2.1230 − 0.2883) = 0.0897"
    )
    assert said["sum", 0, 1, 0] == "Second, sum of its row: 0.5640 + 1.0000 + 0.0897 = 1.6537"
    assert said["weights", 0, 1, 2] == "Second asks third: 0.0897 / 1.6537 = 0.0542"
    assert (
        said["out", 0, 1, 0]
        == "Out of second, number 1: 0.3410 · 0.6038 + 0.6047 · (−0.3502) + 0.0542 · 3.8695 = 0.2040"
    )


def test_a_hidden_score_says_why(every):
    (both,) = (
        x
        for x in every
        if [x["state"][n] for n in SWITCHES] == [True, True, True, True] and x["state"]["x"][0][0] == 1.16
    )
    said = {tuple(x["cell"]): x["text"] for x in both["cells"]}
    assert said["scores", 1, 0, 1] == "Head 2, first asks second, hidden since second comes after first: −∞"
    assert said["scores", 0, 2, 2] == "Head 1, third asks third, hidden since third is padding: −∞"


def test_cells_that_a_number_was_made_from_are_those_it_depends_on(every, tmp_path):
    """Move each input of a cell: the number moves; a cell that is not named does not move it."""
    state = next(x["state"] for x in every if x["state"]["causal"] and not x["state"]["heads"])
    moved = [
        {
            **state,
            "x": [
                [y + 0.25 * (n == 2 * i + j) for j, y in enumerate(row)] for i, row in enumerate(state["x"])
            ],
        }
        for n in range(6)
    ]
    base, *others = run(TABLES, [state, *moved], tmp_path)
    origin = {tuple(x["cell"]): [tuple(y) for y in x["made"]] for x in base["cells"]}

    def inputs(cell):
        return {cell} if cell[0] == "x" else {y for x in origin[cell] for y in inputs(x)}

    for n, other in enumerate(others):
        for before, after in zip(base["cells"], other["cells"], strict=True):
            cell, source = tuple(before["cell"]), ("x", 0, n // 2, n % 2)
            if before["x"] != after["x"]:
                assert source in inputs(cell), (cell, source)


def test_a_link_carries_the_state(every):
    for one in every:
        assert one["back"] == one["state"]


def test_links_that_say_nothing_are_refused(tmp_path):
    good = "#x=1,2,3,4,5,6&w_q=1,2,3,4&w_k=1,2,3,4&w_v=1,2,3,4&scale=1&causal=0&padding=0&heads=1"
    wrong = [
        "",
        "#hand",
        good.replace("x=1,", "x="),
        good.replace("x=1,", "x=,"),
        good.replace("x=1", "x=e"),
        good.replace("scale=1", "scale=2"),
    ]
    wrong += [good.replace("x=1", "x=1e999"), good.replace("x=1", "x=NaN"), "#x", "#heads", "#live"]
    found = run("answer(asked.map(fromHash));", [good, *wrong], tmp_path)
    assert found[0]["heads"] is True
    assert found[0]["x"] == [[1, 2], [3, 4], [5, 6]]
    assert found[1:] == [None] * len(wrong)


def test_what_a_link_does_not_name_is_the_courses(tmp_path):
    driver = "answer([courseState(), ...asked.map(fromHash)]);"
    course, *found = run(driver, ["#causal=1", "#heads=1&scale=0", "#x=1,2,3,4,5,6"], tmp_path)
    assert found[0] == {**course, "causal": True} != course
    assert found[1] == {**course, "heads": True, "scale": False}
    assert found[2] == {**course, "x": [[1, 2], [3, 4], [5, 6]]}
