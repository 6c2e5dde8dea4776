"""Parts of the engine alone: numbers of 16 bits, the largest of equals, maps, labels, saved pictures."""

import base64
import csv
import io
from xml.etree import ElementTree

import numpy as np
import pytest

from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.explorer.bundle import source
from step01_numpy.common.explorer.page import about
from step01_numpy.common.training.checkpoints import load
from tests.explorer.node import needs_node, run

pytestmark = needs_node


def test_every_number_of_16_bits(tmp_path):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    driver = (
        'answer(Array.from(readWeights([["a", [2, 5]], ["b", [asked.n]]], true, asked.text).get("b").data));'
    )
    found = run(
        driver, {"n": len(halves) - 10, "text": base64.b64encode(halves.tobytes()).decode()}, tmp_path
    )
    assert found == halves[10:].astype(float).tolist()


def test_the_largest_and_of_equals_the_first(tmp_path):
    lists = np.random.default_rng(0).integers(0, 6, (40, 12)).tolist()
    found = run("answer(asked.map(x => largestOf(x, 5)));", [*lists, [2]], tmp_path)
    for values, best in zip(lists, found, strict=False):
        order = sorted(range(12), key=lambda i: (-values[i], i))[:5]
        assert best == [[values[i], i] for i in order]
    assert found[-1] == [[2, 0]]


TOY = """
decode = (model, memory, parts) => ({
  logits: fromRows(parts.map(({ids}) => asked[ids[0]].map(Math.log))),
  parts: parts.map(() => ({cache: NOTHING})),
});
answer(beamSearch(null, null, 4, 10).map(x => x.tokens));
"""


def test_an_end_counts_among_the_first_beams_alone(tmp_path):
    """The empty translation is the sixth of the first step: no end, though four had found a place."""
    ends = [1e-9, 1e-9, 1, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9]
    goes_on = [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.9, 0.03]
    start = [1e-9, 1e-9, 0.03, 1e-9, 0.3, 0.29, 0.2, 0.1, 0.06]
    following = {1: start, 4: ends, 5: ends, 6: ends, 7: goes_on, 8: goes_on}
    assert run(TOY, following, tmp_path) == [[4], [5], [6]]


@pytest.mark.parametrize(
    ("tokens", "right"),
    [
        ([1, 2, 1, 2, 1, 2], True),
        ([1, 1, 2, 2, 1, 1], False),
        ([7, 7, 7], True),
        ([7, 7], False),
        ([1, 2, 3, 4, 5] * 3, False),
    ],
)
def test_repetitions(tmp_path, tokens, right):
    assert run("answer(repeatsItself(asked));", tokens, tmp_path) is right


LABELS = """
const tokenizer = buildTokenizer(asked.tokenizer);
const labels = kind => [kind, labelsOf(tokenizer, asked.source, asked.target, kind)];
answer(Object.fromEntries(["self", "masked", "cross"].map(labels)));
"""


def test_a_decoders_rows_say_what_is_read_and_written(tmp_path):
    checkpoint = load(SHIPPED)
    source, target = ([*checkpoint.tokenizer.encode(x)] for x in ("The house.", "La maison."))
    asked = {
        "tokenizer": about(checkpoint, np.float16)["tokenizer"],
        "source": [*source, 2],
        "target": [1, *target],
    }
    found = run(LABELS, asked, tmp_path)
    words = {kind: [[text for text, _ in side] for side in both] for kind, both in found.items()}
    assert words["self"] == [["The", "house", ".", "<eos>"]] * 2
    assert words["cross"] == [
        ["<bos> → La", "La → maison", "maison → .", ". → <eos>"],
        ["The", "house", ".", "<eos>"],
    ]
    assert words["masked"] == [words["cross"][0], ["<bos>", "La", "maison", "."]]
    places = [place["index"] for _, place in found["masked"][1]]
    assert places == [-1, 0, 1, 2]  # <bos> is no token of the sentence


AVERAGED = """
const heads = asked.map(fromRows), maps = {cross: [[], heads], masked: [[], heads]};
const [rows, columns] = [["a → b", "b → c"], ["x", "y", "z"]].map(x => x.map(y => [y, {}]));
const of = head => toRows(weightsOf(maps, {kind: "cross", block: 1, head}));
const says = (kind, i, j) => cellInWords({kind}, heads[0], rows, columns, i, j);
answer({heads: [0, 1, "mean", "maximum"].map(of), said: [says("cross", 1, 2), says("masked", 0, 1)]});
"""


def test_averages_over_heads_and_cells_in_words(tmp_path):
    heads = np.array([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], [[0.0, 0.0, 1.0], [0.6, 0.3, 0.1]]])
    found = run(AVERAGED, heads.tolist(), tmp_path)
    for one, right in zip(found["heads"], [*heads, heads.mean(axis=0), heads.max(axis=0)], strict=True):
        np.testing.assert_allclose(one, right, rtol=0, atol=1e-15)
    assert found["said"] == [
        "To write “c” after “b” it looks at “z”: 70.0 %. Most: z 70 %, y 20 %.",
        "To write “b” after “a” it may not look at “y”: hidden by the mask. Most: x 50 %, y 25 %.",
    ]


SAVED = """
const [rows, columns] = [['a "q"', "b,c"], ["<eos>", "é", "z"]];
const map = {title: "A <map> & more", rows, columns, weights: fromRows(asked)};
answer([asSvg(map), asTable(map)]);
"""


def test_a_map_is_saved_whole(tmp_path):
    weights = [[0.1, 0.2, 0.7], [1 / 3, 2 / 3, 0.0]]
    pictures = source("pictures").replace("export ", "")
    svg, table = run(pictures + SAVED, weights, tmp_path)
    rows = list(csv.reader(io.StringIO(table)))
    assert rows[0] == ["", "<eos>", "é", "z"]
    assert [(row[0], [float(x) for x in row[1:]]) for row in rows[1:]] == [
        ('a "q"', weights[0]),
        ("b,c", weights[1]),
    ]
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    assert [x.text for x in root.iter(f"{name}text")] == ["A <map> & more", 'a "q"', "b,c", "<eos>", "é", "z"]
    assert len(list(root.iter(f"{name}rect"))) == 7
    assert [x.get("fill") for x in root.iter(f"{name}rect")][-1] == "#f0eee7"
