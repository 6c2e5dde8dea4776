"""`report`: what a class can learn from its grades, as text and as one page."""

from pathlib import Path

from step01_numpy.common.support.files import write_atomically
from tests.homework.class_report import read, report
from tests.homework.report_page import as_page, as_text

NAME, HELP = "report", "say what a class got right and wrong, from the grades of a batch"


def add_arguments(parser):
    """Take the grades, and where the page goes."""
    parser.add_argument("grades", metavar="GRADES.json", help="what grade --all wrote")
    parser.add_argument(
        "--out", metavar="FILE", help="write a page (.html) or text (.txt), instead of printing text"
    )
    parser.add_argument("--title", default="Homework: what the class got right and wrong", help="of the page")


def run(arguments):
    """Print the report, or write it."""
    path = Path(arguments.grades)
    found = report(read(path.read_bytes(), str(path)))
    if arguments.out is None:
        print(as_text(found), end="")
        return
    out = Path(arguments.out)
    if out.suffix not in (".html", ".txt"):
        raise ValueError(f"--out is {arguments.out!r}; expected a name that ends in .html or .txt")
    text = as_page(found, arguments.title) if out.suffix == ".html" else as_text(found)
    write_atomically(out, text.encode())
