"""Regions are found, emptied and put back; what may not stand in one is refused by its line."""

# ruff: noqa: E501  (a case a line)

import pytest

from tests.homework.grade import grade
from tests.homework.kernels.answers import read
from tests.homework.kernels.hand_in import FILES, hand_in
from tests.homework.kernels.lexer import refusal
from tests.homework.kernels.regions import blank, expand, names, put, regions, splice, unwritten
from tests.homework.kernels.styles import RIGHT
from tests.homework.kernels.table import KERNELS
from tests.homework.table import TASKS

TEXT = """int f() {
    // begin task: one
    return 1;  // 1
    // end task
}
    // begin task: two
    // end task
int g();
"""


def test_regions_are_lines_between_marks():
    found = regions(TEXT)
    assert {name: (x.text, x.line, x.end) for name, x in found.items()} == {
        "one": ("    return 1;  // 1\n", 3, 4),
        "two": ("", 7, 7),
    }
    assert put(TEXT, "one", found["one"].text) == TEXT
    assert regions(put(TEXT, "two", "a\nb\n"))["two"].text == "a\nb\n"


def test_an_empty_region_says_where_to_write():
    text = blank(TEXT, {"one": "return 0;", "two": ""})
    assert regions(text)["one"].text == "    // your code goes here\n    return 0;\n"
    assert regions(text)["two"].text == "    // your code goes here\n"
    assert all(unwritten(x.text, "return 0;") for x in regions(text).values())
    assert unwritten("/* later\n */ return  0;", "return 0;")
    assert not unwritten("return 1;", "return 0;")


def test_lines_of_a_student_keep_their_numbers():
    own = regions("\n\n" + TEXT)["one"]
    lines = splice(TEXT, "x.cu", {"one": own}).splitlines()
    assert lines[2:5] == ['#line 5 "x.cu"', "    return 1;  // 1", '#line 6 "x.cu"']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.replace("two", "one"), "has the mark of one twice"),
        (TEXT.replace("    // end task\n}", "}"), "has the mark of two twice or within one"),
        (TEXT.replace("task: two\n    // end task", "task: two"), "has no `// end task` behind the beginning of two"),
    ],
)  # fmt: skip
def test_marks_that_do_not_fit_are_refused(text, says):
    with pytest.raises(ValueError, match=says):
        regions(text)


def test_headers_are_put_in_once():
    files = {
        "a.cu": '#include "b.cuh"\n#include "c.cuh"\na\n',
        "b.cuh": '#include "c.cuh"\nb\n',
        "c.cuh": "c\n",
    }
    text = expand("a.cu", lambda file: files[file].removesuffix("\n"))
    assert [x for x in text.splitlines() if not x.startswith("#line")] == ["c", "b", "a"]
    assert text.rstrip().endswith('#line 3 "a.cu"\na')


@pytest.mark.parametrize("task", KERNELS, ids=lambda x: x.name)
def test_every_target_is_a_region(task):
    assert len(task.write) == len(task.targets)
    for file, some in names((*task.targets, *task.also)).items():
        there = regions(read(file))
        assert set(some) <= set(there)
        assert all(refusal(there[x].text) is None for x in some)
        assert not any(unwritten(there[x].text, task.stub) for x in some)


@pytest.mark.parametrize("style", RIGHT, ids=lambda x: x.name)
def test_what_is_right_is_not_refused(style):
    assert refusal(style.text) is None


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("x;\n#include <a>", 1, "of the preprocessor's lines"),
        ("x; #pragma unroll", 0, "of the preprocessor's lines"),
        ("#pragma omp parallel", 0, "of the preprocessor's lines"),
        ("%: define x", 0, "`%:` may not stand"),
        ("// a \\\nx;", 0, "a line may not end with a backslash"),
        ("// a \\  \nx;", 0, "a line may not end with a backslash"),
        ("x;\\", 0, "a line may not end with a backslash"),
        ('R"(")"', 0, '`R"` may not stand'),
        ('u8R"x(")x"', 0, '`u8R"` may not stand'),
        ("1'000; '#'; asm(\"\");", 0, "`asm` leaves"),
        ("x;\n/* #\n", 1, "a comment does not end"),
        ("f(x]);", 0, "`]` closes what"),
        ("{ { }", 0, "`{` is opened"),
        ("}\n{", 0, "`}` closes what"),
    ],
)
def test_what_leaves_the_region_is_refused(text, line, why):
    found = refusal(text)
    assert found is not None
    assert found[0] == line
    assert why in found[1]


@pytest.mark.parametrize(
    "text",
    [
        "#pragma unroll\nfor (;;) {}\n  # pragma unroll (4)\nfor (;;) {}",
        "// # \" ' { asm\n/* } # */",
        "x = 1'000'000 + 0x1p-3 + '\\'' + '\"' + \"a\\\"#{\";",
        "a[b % c] <= d::e; a < b;",
    ],
)
def test_what_stays_within_is_not_refused(text):
    assert refusal(text) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("begin task: load-tile", "begin: load-tile"), "has no `// begin task: load-tile`"),
        (lambda text: text.replace("// end task", ""), "tiles.cuh has the mark of"),
        (lambda text: text.replace("        int row = ", "#define row\n        int row = "), "tiles.cuh, line 30: of the"),
        (lambda text: "\0" + text, "tiles.cuh is not text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_sentence(change, says, tmp_path):
    folder = hand_in(tmp_path, texts={"tiles.cuh": change(read("tiles.cuh"))})
    (result,) = grade(folder, [TASKS["load-tile"]], seed=0).tasks
    assert result.points == 0
    assert len(result.says) == 1
    assert says in result.says[0]


def test_a_file_that_is_missing_is_named(tmp_path):
    (tmp_path / "Tiles.cuh.txt").write_text("x")
    result = grade(tmp_path, [TASKS["load-tile"]], seed=0)
    assert result.tasks[0].says == [
        "There is no tiles.cuh in your submission; if Tiles.cuh.txt is meant, name it tiles.cuh."
    ]
    assert result.notes == ["None of the files that the tasks ask for is here: tiles.cuh."]


@pytest.mark.proof
def test_only_what_stands_between_the_marks_counts(tmp_path):
    """Files from another system with other code around the marks have all points, and a remark."""
    texts = {
        x: read(x).replace("\n", "\r\n").replace("THREADS = DOWN * ACROSS", "THREADS = 1") for x in FILES
    }
    task = TASKS["load-tile"]
    (result,) = grade(hand_in(tmp_path, texts=texts), [task], seed=0).tasks
    assert result.points == result.max_points
    assert result.notes == ["What you changed of tiles.cuh outside of the marks was not used."]
