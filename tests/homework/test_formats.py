"""Results as the platforms read them, held to their schemas, and no text that is obeyed."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.homework import formats
from tests.homework.result import Result, TaskResult

ISOLATION = "another user, no network"
ATTENTION = TaskResult(
    "attention",
    6,
    9,
    {"plain": True, "causal": False, "mask": True},
    ["Your mask is inverted: True means may attend. [causal]"],
    ["your change of scale_or_default was not used"],
    1.25,
    "hello\n",
)
SOFTMAX = TaskResult("softmax", 4, 4, {"plain": True, "large scores": True}, seconds=0.5)
RESULT = Result([SOFTMAX, ATTENTION], 417, "0.1.0", ISOLATION, ["notes.txt is no file of this homework"])
HOSTILE = "\x1b[2J\x1b]0;x\x07‮\ud800<script>alert(1)</script>"
RUNNER = {
    "CLASSROOM": "nlp",
    "ASSIGNMENT": "attention",
    "ASSIGNMENT_TYPE": "individual",
    "OWNER": "emmy",
    "USERNAME": "emmy",
    "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "COMMIT_URL": "https://git.example/commit/a1b2c3d",
    "RELEASE_URL": "https://git.example/releases/1",
    "REVIEW_URL": "https://git.example/compare/1",
}
TEXT = {"text", "html", "simple_format", "md", "ansi"}
VISIBLE = {"hidden", "after_due_date", "after_published", "visible"}
NUMBER = (int, float)
GRADESCOPE = {  # its specification: the types of the fields, or the values that one may have
    "score": NUMBER,
    "execution_time": NUMBER,
    "output": str,
    "output_format": TEXT,
    "test_output_format": TEXT,
    "test_name_format": TEXT,
    "visibility": VISIBLE,
    "stdout_visibility": VISIBLE,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
GRADESCOPE_TEST = {
    "score": NUMBER,
    "max_score": NUMBER,
    "status": {"passed", "failed"},
    "name": str,
    "name_format": TEXT,
    "number": str,
    "output": str,
    "output_format": TEXT,
    "tags": list,
    "visibility": VISIBLE,
    "extra_data": dict,
}
CLASSROOM50 = {  # schemas/result-v1.schema.json; no field beside these
    "schema": {"classroom50/result/v1"},
    "classroom": str,
    "assignment": str,
    "assignment_type": {"individual", "group"},
    "owner": str,
    "submission": str,
    "commit": str,
    "release": str,
    "review": str,
    "datetime": str,
    "score": int,
    "max-score": int,
    "tests": list,
}
CLASSROOM50_TEST = {"test-name": str, "passed": bool, "score": int, "max-score": int, "message": str}
PRAIRIELEARN = {
    "score": float,
    "gradable": bool,
    "format_errors": list,
    "message": str,
    "output": str,
    "images": list,
    "tests": list,
}
PRAIRIELEARN_TEST = {"name": str, "description": str, "points": NUMBER, "max_points": NUMBER, "message": str}
PRAIRIELEARN_TEST |= {"output": str, "images": list}


def check(found, schema):
    """Hold a JSON object to a schema: no field beside its fields, each of its type or among its values."""
    assert set(found) <= set(schema)
    for name, value in found.items():
        if isinstance(schema[name], set):
            assert value in schema[name], name
        else:
            assert isinstance(value, schema[name]), name
            assert schema[name] is bool or not isinstance(value, bool), name


def check_gradescope(found):
    """Hold a results.json to Gradescope's specification, and to text everywhere."""
    check(found, GRADESCOPE)
    assert "score" in found or all("score" in x for x in found.get("tests", []))
    assert {value for name, value in found.items() if name.endswith("_format")} == {"text"}
    for test in found.get("tests", []):
        check(test, GRADESCOPE_TEST)
        assert test["name_format"] == test["output_format"] == "text"
        assert 0 <= test["score"] <= test["max_score"]


def check_classroom50(found):
    """Hold a result.json to the rules of classroom50's schema, and to those that it checks in code."""
    check(found, CLASSROOM50)
    assert set(found) == set(CLASSROOM50)
    assert found["submission"].startswith("submit/")
    datetime.strptime(found["datetime"], "%Y-%m-%dT%H:%M:%SZ")
    assert all(found[name] for name in CLASSROOM50 if CLASSROOM50[name] is str)
    for test in found["tests"]:
        check(test, CLASSROOM50_TEST)
        assert 0 <= test["score"] <= test["max-score"]
    assert 0 <= found["score"] <= found["max-score"]


def check_prairielearn(found):
    """Hold a results.json to PrairieLearn's page on external grading."""
    check(found, PRAIRIELEARN)
    assert len(json.dumps(found).encode()) <= 1_000_000
    if found.get("gradable", True):
        assert 0 <= found["score"] <= 1
    for test in found.get("tests", []):
        check(test, PRAIRIELEARN_TEST)


VALID = {"gradescope": check_gradescope, "classroom50": check_classroom50, "prairielearn": check_prairielearn}


def made(result, name):
    return json.loads(formats.rendered(result, name, RUNNER))


def hostile(text):
    """Return a result in which every text that a student can influence is this one."""
    tasks = [replace(x, says=[text] * 50, notes=[text] * 50, printed=text) for x in RESULT.tasks]
    return replace(RESULT, tasks=tasks, notes=[text] * 50)


EMPTY = Result([], 1, "0.1.0", ISOLATION)
NOTHING = Result([TaskResult("softmax", 0, 4)], 1, "0.1.0", ISOLATION, ["the folder is empty"])


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("result", [RESULT, EMPTY, NOTHING, hostile(HOSTILE), hostile("x" * 10**6)])
def test_a_platform_can_read_it(name, result):
    VALID[name](made(result, name))


@pytest.mark.parametrize("name", VALID)
def test_a_megabyte_is_enough_for_31_tasks_that_say_all_they_can(name):
    result = replace(EMPTY, tasks=hostile("𝔸" * 10**5).tasks * 16)
    size = len(formats.rendered(result, name, RUNNER).encode())
    assert size <= 1_000_000


@pytest.mark.parametrize("name", formats.FORMATS)
def test_no_format_lets_a_text_be_obeyed(name):
    found = formats.rendered(hostile(HOSTILE), name, RUNNER)
    assert not set(found) & set("\x1b\x07‮\ud800")
    found.encode("utf-8")
    assert "<script>" in found  # said as it is, in fields that are text


@pytest.mark.parametrize("name", VALID)
def test_students_do_not_learn_the_seed(name):
    assert "417" not in formats.rendered(RESULT, name, RUNNER)


def test_json_has_the_names_that_others_rely_on():
    found = made(RESULT, "json")
    assert (found["score"], found["max_score"], found["seed"]) == (10, 13, 417)
    assert found["tasks"][1] == {
        "name": "attention",
        "points": 6,
        "max_points": 9,
        "says": ATTENTION.says,
        "cases": ATTENTION.cases,
        "notes": ATTENTION.notes,
        "printed": "hello",
    }


def test_text_is_short_and_whole():
    assert formats.as_text(RESULT).splitlines() == [
        "   4 of   4  softmax (2 of 2 cases right)",
        "   6 of   9  attention (2 of 3 cases right)",
        "             Your mask is inverted: True means may attend. [causal]",
        "             your change of scale_or_default was not used",
        "             Printed:",
        "             hello",
        "  10 of  13  in all",
        "notes.txt is no file of this homework",
        "Seed 417, version 0.1.0, isolation: another user, no network.",
    ]


def test_text_fits_a_terminal():
    long = replace(ATTENTION, says=["word " * 50 + "\nand more"], printed="x" * 300)
    lines = formats.as_text(replace(RESULT, tasks=[long])).splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(x.count("word") for x in lines) == 50
    assert f"{'':13}and more" in lines


def test_gradescope_shows_points_sentences_and_what_was_printed():
    found = made(RESULT, "gradescope")
    assert (found["score"], found["execution_time"]) == (10, 1.75)
    right, wrong = found["tests"]
    assert (right["status"], right["score"], right["output"]) == ("passed", 4, "Right.")
    assert (wrong["status"], wrong["score"], wrong["max_score"], wrong["number"]) == ("failed", 6, 9, "2")
    assert wrong["output"] == "\n".join(
        [*ATTENTION.says, *ATTENTION.notes, "", "Your code printed:", "hello"]
    )
    assert found["output"].splitlines()[:2] == ["10 of 13 points.", *RESULT.notes]
    assert found["stdout_visibility"] == "hidden"


def test_classroom50_is_told_who_and_when():
    now = datetime(2026, 6, 1, 14, 33, 11, tzinfo=UTC)
    found = formats.classroom50(RESULT, RUNNER, now)
    assert found["datetime"] == "2026-06-01T14:33:11Z"
    assert (found["owner"], found["score"], found["max-score"]) == ("emmy", 10, 13)
    assert found["review"] == RUNNER["REVIEW_URL"]
    assert found["tests"][1]["message"].startswith(ATTENTION.says[0])
    first = formats.classroom50(RESULT, {**RUNNER, "REVIEW_URL": ""}, now)
    assert first["review"] == RUNNER["COMMIT_URL"]


@pytest.mark.parametrize("name", sorted(set(RUNNER) - {"USERNAME", "REVIEW_URL", "ASSIGNMENT_TYPE"}))
def test_classroom50_names_what_its_runner_did_not_say(name):
    with pytest.raises(
        ValueError, match=f"the environment has no {name}; expected what classroom50's runner"
    ):
        formats.classroom50(RESULT, {**RUNNER, name: ""})


def test_prairielearn_gets_a_part_of_one():
    found = made(RESULT, "prairielearn")
    assert found["score"] == pytest.approx(10 / 13)
    assert [x["points"] for x in found["tests"]] == [4, 6]
    assert made(EMPTY, "prairielearn")["score"] == 0


@pytest.mark.parametrize("where", ["a note", "a sentence"])
def test_a_syntax_error_costs_no_attempt_at_prairielearn(where):
    said = ["attention.py is not Python: invalid syntax, line 3."]
    broken = replace(ATTENTION, points=0, says=said) if where == "a sentence" else ATTENTION
    result = replace(RESULT, tasks=[SOFTMAX, broken], notes=said if where == "a note" else [])
    found = made(result, "prairielearn")
    check_prairielearn(found)
    assert found["gradable"] is False
    assert found["format_errors"] == said
    assert "score" not in found


def test_no_student_can_say_that_an_attempt_shall_not_count():
    says = ["Your code raised ValueError: attention.py is not Python."]
    found = made(replace(RESULT, tasks=[replace(ATTENTION, points=0, says=says)]), "prairielearn")
    assert (found["gradable"], found["score"]) == (True, 0)


def test_a_long_sentence_is_cut():
    assert formats.clean("x" * 501) == "x" * 498 + " …"
    assert formats.clean("x" * 500) == "x" * 500
    assert formats.clean("a\tb\nc\r\0d") == "ab\ncd"


def test_an_unknown_format_is_named():
    with pytest.raises(ValueError, match="format is 'yaml'; expected text, json, gradescope, classroom50"):
        formats.rendered(RESULT, "yaml", RUNNER)


def test_every_format_is_checked_here():
    assert set(formats.FORMATS) == {"text", "json", *VALID}
