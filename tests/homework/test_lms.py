"""Tables of Canvas and Moodle: filled by the rows that they have, and otherwise as they were."""

import csv
import io

import pytest

from tests.homework.lms import Grade, fill
from tests.homework.sheets import harmless, quoted, read, written

CANVAS = (
    '\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework 1 (1234),"Essay, long (77)"\r\n'
    "    Points Possible,,,,,100.00,10\r\n"
    '"Curie, Marie",101,s1,mcurie,"Lab ""A""",,7\r\n'
    '"Noether, Emmy",102,s2,enoether,Lab B,12.5,\r\n'
    '"Turing, Alan",103,s3,aturing,Lab B,EX,9\r\n'
    '"Hopper, Grace",104,s4,ghopper,Lab B,,8\r\n'
    '"Student, Test",105,,b1a2c3,Lab B,,\r\n'
)
WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum grade,Last modified (grade),Feedback comments\n"
    "Participant 555,Marie Curie,marie@uni.example,Submitted,-,100.00,-,\n"
    'Participant 556,Emmy Noether,emmy@uni.example,Submitted,-,100.00,"Monday, 5 May 2026, 1:00 PM",""\n'
)
GRADEBOOK = (
    "First name;Last name;Email address;Homework 1 (Real);Homework 1 (Feedback)\n"
    "Marie;Curie;marie@uni.example;-;\n"
)
TITLE = "Homework 1 (1234)"


def filled(text, *grades, **options):
    options = {"column": TITLE, "by": "SIS Login ID", **options}
    return fill(text.encode(), "exported.csv", [Grade(*x) for x in grades], **options)


def parsed(data, delimiter=","):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_canvas_gets_scores_and_keeps_all_else():
    found = filled(CANVAS, (("mcurie",), 88, 100), (("ENoether",), 41.5, 100))
    expected = CANVAS.replace('"Lab ""A""",,7', '"Lab ""A""",88,7').replace("Lab B,12.5,", "Lab B,41.50,")
    assert found.data == expected.encode()
    assert found.rows == 2


def test_what_has_no_counterpart_is_listed_and_never_made():
    found = filled(CANVAS, (("mcurie",), 88, 100), (("nobody",), 5, 100))
    assert len(parsed(found.data)) == len(parsed(CANVAS.encode()))
    assert b"nobody" not in found.data
    assert "the submission of nobody has no row in the table: not filled in" in found.remarks
    assert (
        "4 rows without a submission, left as they were: enoether, aturing, ghopper, b1a2c3" in found.remarks
    )


def test_an_excused_student_stays_excused():
    found = filled(CANVAS, (("aturing",), 88, 100))
    assert found.data == CANVAS.encode()
    assert found.rows == 0
    assert "aturing is left as it was: the table says excused" in found.remarks


def test_the_row_of_points_possible_is_no_student_and_is_compared():
    found = filled(CANVAS, (("mcurie",), 8, 10))
    assert "the table has 100.00 points possible, this homework 10" in found.remarks
    assert not any("points possible" in x for x in filled(CANVAS, (("mcurie",), 8, 100)).remarks)
    by_name = filled(CANVAS, (("Points Possible",), 1, 100), by="Student")
    assert by_name.data == CANVAS.encode()


@pytest.mark.parametrize(("by", "keys"), [("ID", ("curiemarie", "101")), ("Student", ("Curie, Marie",))])
def test_any_column_may_say_who_a_row_is(by, keys):
    assert parsed(filled(CANVAS, (keys, 88, 100), by=by).data)[2][5] == "88"


def test_moodles_worksheet_is_known_by_the_number_of_its_identifier():
    found = filled(
        WORKSHEET,
        (("Marie Curie", "555"), 70, 100, 'Your mask is inverted.\nTrue means may attend, "see" masks.'),
        by="Identifier",
        column="Grade",
        feedback="Feedback comments",
    )
    head, first, second = parsed(found.data)
    assert first[4] == "70"
    assert first[7] == 'Your mask is inverted.\nTrue means may attend, "see" masks.'
    assert second == parsed(WORKSHEET.encode())[2]
    assert head == parsed(WORKSHEET.encode())[0]
    assert found.data.endswith(WORKSHEET.encode().split(b"\n")[2] + b"\n")


def test_moodles_gradebook_with_semicolons():
    options = {"by": "Email address", "column": "Homework 1 (Real)", "feedback": "Homework 1 (Feedback)"}
    found = filled(GRADEBOOK, (("Marie@uni.example",), 70, 100, "Right; all of it."), **options)
    assert parsed(found.data, ";")[1] == ["Marie", "Curie", "marie@uni.example", "70", "Right; all of it."]


def test_a_cell_that_a_student_writes_is_never_a_formula():
    options = {"by": "Identifier", "column": "Grade", "feedback": "Feedback comments"}
    found = filled(WORKSHEET, (("555",), 0, 100, '=HYPERLINK("http://x")'), **options)
    assert parsed(found.data)[1][7] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x"])
def test_texts_that_spreadsheets_run_get_an_apostrophe(text):
    assert harmless(text) == "'" + text
    assert parsed(written(["a", "b"], [[text, 1]]))[1] == ["'" + text, "1"]


@pytest.mark.parametrize("text", ["", "Your mask is inverted: x = -1", "5 cases", "'=1"])
def test_other_texts_stay(text):
    assert harmless(text) == text


def test_two_rows_of_one_name_and_two_submissions_of_one_row():
    twice = CANVAS.replace("enoether", "mcurie")
    found = filled(twice, (("mcurie",), 88, 100))
    assert found.data == twice.encode()
    assert "the submission of mcurie has 2 rows in the table: not filled in" in found.remarks
    found = filled(CANVAS, (("mcurie",), 88, 100), (("MCURIE",), 3, 100))
    assert (
        "the submission of MCURIE has a row that another submission has in the table: not filled in"
        in found.remarks
    )
    assert parsed(found.data)[2][5] == "88"


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        (CANVAS, {"column": "Homework 1"}, "column 'Homework 1' is not among 'Student', 'ID'"),
        (CANVAS, {"by": "Email"}, "column 'Email' is not among"),
        (CANVAS.replace("Section", TITLE), {}, r"column 'Homework 1 \(1234\)' is twice"),
        ("", {}, "exported.csv has no row of titles"),
        ('a,"b\n1,2\n', {}, "exported.csv has a quote that is never closed, at character 2"),
    ],
)
def test_what_is_no_such_table_is_refused(text, options, error):
    with pytest.raises(ValueError, match=error):
        filled(text, (("mcurie",), 88, 100), **options)


def test_other_encodings_are_refused():
    with pytest.raises(ValueError, match=r"exported\.csv is not UTF-8"):
        fill("Stüdent,ID\n".encode("latin-1"), "exported.csv", [], column="ID", by="ID")


def test_a_row_that_is_too_short_is_left():
    found = filled(CANVAS + "x,9,y,short\r\n", (("short",), 5, 100))
    assert "short is left as it was: its row is too short" in found.remarks


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2",
        "a,b\r\n,\r\n",
        'a,b\n"1\n2",""\n\n3,"4"",5"\n',
        "a\tb\n1\t2\n",
        "a,b\n1,\n2,",
        'a,b\n"x"y,z\n',
        "a,b\n1",
    ],
)
def test_cells_are_those_of_pythons_reader(text):
    sheet = read(text.encode(), "exported.csv")
    found = [[x.value for x in row] for row in sheet.rows]
    assert found == [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=sheet.delimiter) if row
    ]
    assert sheet.replaced({}) == text
    again = sheet.replaced({(r, c): x.value for r, row in enumerate(sheet.rows) for c, x in enumerate(row)})
    assert [[x.value for x in row] for row in read(again.encode(), "again").rows] == found


def test_quotes_where_needed():
    assert [quoted(x, ",") for x in ["1", "a,b", 'a"b', "a\nb"]] == ["1", '"a,b"', '"a""b"', '"a\nb"']
