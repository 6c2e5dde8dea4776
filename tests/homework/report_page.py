"""The report of a class as text, and as one page that asks nothing of any network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from tests.homework.class_report import Mistake, Report
from tests.homework.formats import clean

TEMPLATE = Path(__file__).parent / "templates" / "report.html"


def headline(report: Report) -> str:
    """Return the class in one sentence."""
    students = len(report.scores) + len(report.ungraded)
    if not report.scores:
        return f"{students} students, {report.attempts} submissions, none graded."
    middle = sorted(x[1] for x in report.scores)
    median = (middle[len(middle) // 2] + middle[(len(middle) - 1) // 2]) / 2
    whole = report.scores[0][2]
    return (
        f"{students} students, {report.attempts} submissions; the median is {median:g} of {whole:g} points."
    )


def after(mistake: Mistake) -> str:
    """Return what came of telling it."""
    return f"{mistake.helped} of {mistake.tried}" if mistake.tried else "–"


def as_text(report: Report) -> str:
    """Return the report as lines."""
    lines = [headline(report), "", "Tasks (solved whole by, mean of the points)"]
    students = len(report.scores)
    lines += [f"  {name:24} {n:3} of {students}  {mean:4.0f} %" for name, (n, mean) in report.tasks.items()]
    lines += ["", "Solved by nobody: " + (", ".join(report.unsolved) or "none")]
    lines += ["", "Mistakes (students; right in the next submission)"]
    lines += [f"  {x.students:3}  {after(x):9} {x.task}: {clean(x.sentence)}" for x in report.mistakes]
    lines += ["", "Points"]
    lines += [f"  {score:5g} of {most:g}  {clean(name)}" for name, score, most in report.scores]
    lines += [f"  not graded  {clean(name)}: {clean(why)}" for name, why in report.ungraded]
    return "\n".join(lines) + "\n"


def as_page(report: Report, title: str) -> str:
    """Return the report as a page of HTML: escaped texts, tables with headers, no script and no address."""
    students = len(report.scores)
    tasks = [(x, f"{n} of {students}", f"{mean:.0f} %") for x, (n, mean) in report.tasks.items()]
    wrong = [(clean(x.sentence), x.task, str(x.students), after(x)) for x in report.mistakes]
    points = [(clean(name), f"{score:g} of {most:g}") for name, score, most in report.scores]
    points += [(f"{clean(name)}: {clean(why)}", "not graded") for name, why in report.ungraded]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(clean(title)),
        headline=escape(headline(report)),
        tasks=table("Tasks", ("Task", "Solved whole by", "Mean of the points"), tasks),
        unsolved=escape(", ".join(report.unsolved) or "Every task was solved by somebody."),
        mistakes=table(
            "Mistakes, the most frequent first",
            ("What students were told", "Task", "Students", "Right in their next submission"),
            wrong,
        ),
        points=table("Points", ("Student", "Points"), points),
    )


def table(caption: str, head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table with a caption, column headers, and a row header in its first column."""
    if not body:
        return f"<p>{escape(caption)}: nothing to show.</p>"
    columns = "".join(f'<th scope="col">{escape(x)}</th>' for x in head)
    rows = []
    for first, *rest in body:
        cells = "".join(f"<td>{escape(x)}</td>" for x in rest)
        rows.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return (
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{columns}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
    )
