"""The report of a class: counts that a hand can check, and a page that is safe, accessible and alone."""

import json
import re
from argparse import ArgumentParser
from html.parser import HTMLParser

import pytest

from tests.browser import violations
from tests.homework import report_command
from tests.homework.class_report import Mistake, read, report
from tests.homework.report_page import as_page, as_text

SCALE = "Your scores are not scaled."
MASK = "Your mask is inverted."
EVIL = '<img src=x onerror="alert(1)">\x1b[2J'


def one(student, *points, says=(), counts=True, error=""):
    """Return a submission: the points of attention (of 9) and softmax (of 4), what attention was told."""
    tasks = [
        {"name": name, "points": n, "max_points": most, "says": list(says) if name == "attention" else []}
        for name, n, most in zip(("attention", "softmax"), points, (9, 4), strict=False)
    ]
    result = {"score": sum(points), "max_score": 13, "tasks": tasks} if points else None
    outcome = "graded" if points else "not graded"
    base = {"student": student, "keys": [student], "submission": student, "counts": counts}
    return {**base, "outcome": outcome, "error": error, "result": result}


CLASS = {
    "settings": {},
    "submissions": [
        one("ada", 3, 4, says=[f"{SCALE} [plain, causal]", MASK], counts=False),
        one("ada", 6, 4, says=[MASK], counts=False),
        one("ada", 9, 4),
        one("bob", 3, 2, says=[f"{SCALE} [plain]"], counts=False),
        one("bob", 3, 2, says=[SCALE]),
        one("cyd", 0, 0, says=[EVIL]),
        one("dan", error="it took longer than 300 s"),
    ],
}


def test_mistakes_by_frequency_and_what_helped():
    found = report(CLASS).mistakes
    assert found[0] == Mistake("attention", SCALE, students=2, tried=2, helped=0)
    assert found[1:] == [
        Mistake("attention", EVIL, students=1, tried=0, helped=0),
        Mistake("attention", MASK, students=1, tried=2, helped=1),
    ]


def test_points_tasks_and_what_nobody_solved():
    found = report(CLASS)
    assert found.scores == [("ada", 13, 13), ("bob", 5, 13), ("cyd", 0, 13)]
    assert found.ungraded == [("dan", "it took longer than 300 s")]
    assert found.tasks["attention"] == (1, pytest.approx(100 * (1 + 1 / 3) / 3))
    assert found.unsolved == []
    nobody = {"submissions": [x for x in CLASS["submissions"] if x["student"] != "ada"]}
    assert report(nobody).unsolved == ["attention", "softmax"]


def test_text():
    text = as_text(report(CLASS))
    assert text.startswith("4 students, 7 submissions; the median is 5 of 13 points.\n")
    assert f"    2  0 of 2    attention: {SCALE}\n" in text
    assert "Solved by nobody: none\n" in text
    assert "  not graded  dan: it took longer than 300 s\n" in text
    assert "\x1b" not in text


class Page(HTMLParser):
    """Reads a page, and notes its elements, attributes and texts; every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_well_formed_and_says_all():
    page = Page(as_page(report(CLASS), "Homework 1"))
    for text in ("4 students, 7 submissions; the median is 5 of 13 points.", SCALE, MASK, "13 of 13"):
        assert text in page.texts
    assert "<td>attention</td><td>2</td><td>0 of 2</td>" in as_page(report(CLASS), "x")
    assert EVIL.replace("\x1b", "") in page.texts  # as text
    assert "img" not in {tag for tag, _ in page.elements}


def test_the_page_asks_nothing_of_a_network():
    text = as_page(report(CLASS), "Homework 1").replace(EVIL, "")
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "img", "object", "base", "form"}
    assert not {name for _, attributes in page.elements for name in attributes} & {
        "src",
        "href",
        "srcset",
        "action",
    }
    assert not re.search(r"url\(|@import|https?:|//", re.sub(r"&lt;.*?&gt;", "", text))


def test_the_page_is_accessible():
    page = Page(as_page(report(CLASS), "Homework 1"))
    assert ("html", {"lang": "en"}) in page.elements
    assert sum(tag == "h1" for tag, _ in page.elements) == 1
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == 3
    scopes = {attributes.get("scope") for tag, attributes in page.elements if tag == "th"}
    assert scopes == {"col", "row"}
    meta = [attributes for tag, attributes in page.elements if tag == "meta"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in meta


def colours(text):
    """Return the palettes of a page: of light, and of dark."""
    return [dict(re.findall(r"--(\w+): (#\w+)", x)) for x in re.findall(r":root \{([^}]*)\}", text)]


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * x for x in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_in_both_modes(mode):
    """WCAG's contrast: 4.5 for texts, on paper and on the band."""
    palette = colours(as_page(report(CLASS), "x"))[mode]
    for text in ("ink", "quiet"):
        for ground in ("paper", "band"):
            a, b = sorted(luminance(palette[x]) + 0.05 for x in (text, ground))
            assert b / a >= 4.5, (text, ground)


def test_an_empty_class_has_a_page():
    nobody = {"submissions": [one("dan", error="x")]}
    assert "1 students, 1 submissions, none graded." in as_text(report(nobody))
    Page(as_page(report(nobody), "x"))


@pytest.mark.proof
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_finds_it_readable_and_accessible(browser, tmp_path, scheme, width):
    hostile = [one("x" * 80, 0, 0, says=["y" * 300, EVIL]), one("z", error="w" * 300)]
    grades = {"submissions": [*CLASS["submissions"], *hostile]}
    (tmp_path / "r.html").write_text(as_page(report(grades), "Homework 1"))
    with browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{tmp_path}/r.html")
        assert asked == [f"file://{tmp_path}/r.html"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        captions = page.locator("caption").evaluate_all(
            "all => all.map(x => x.getBoundingClientRect().height)"
        )
        assert max(captions) < 60  # px: a caption is a line or two, whatever the table is
        assert violations(page) == []


@pytest.fixture
def command(tmp_path, capsys):
    """Run the command on the class."""

    def call(*arguments, data=None):
        (tmp_path / "grades.json").write_bytes(json.dumps(CLASS).encode() if data is None else data)
        parser = ArgumentParser()
        report_command.add_arguments(parser)
        report_command.run(parser.parse_args([str(tmp_path / "grades.json"), *arguments]))
        return capsys.readouterr().out

    return call


def test_the_command_prints_or_writes(command, tmp_path):
    assert command() == as_text(report(CLASS))
    assert command("--out", str(tmp_path / "r.html"), "--title", "Homework 1") == ""
    assert (tmp_path / "r.html").read_text() == as_page(report(CLASS), "Homework 1")
    command("--out", str(tmp_path / "r.txt"))
    assert (tmp_path / "r.txt").read_text() == as_text(report(CLASS))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "is no JSON"),
        (b"[" * 10**5, "is no JSON"),
        (b"[]", "is no table of grades"),
        (b'{"submissions": [{}]}', "is no table of grades"),
        (b'{"submissions": 3}', "is no table of grades"),
    ],
)
def test_what_is_no_table_of_grades_is_refused(command, data, error):
    with pytest.raises(ValueError, match=rf"grades\.json {error}; expected what grade --all wrote"):
        command(data=data)
    with pytest.raises(ValueError, match=r"--out is 'r\.pdf'; expected a name that ends in \.html or \.txt"):
        command("--out", "r.pdf")


def test_grades_are_read():
    assert read(json.dumps(CLASS).encode(), "x") == json.loads(json.dumps(CLASS))
