"""`grade`: points a task and a sentence a mistake, for one submission."""

import os

from tests.homework import batch_command, choice
from tests.homework.formats import FORMATS, rendered
from tests.homework.grade import FEEDBACK, grade

NAME, HELP = "grade", "grade a submission, a folder, a zip or a file; or, with --all, a folder of them"


def add_arguments(parser):
    """Take the submission, and what is graded of it."""
    parser.add_argument("path", nargs="?", metavar="SUBMISSION", help="a folder, a zip or a file")
    choice.add_arguments(parser, required=False)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the cases (0)")
    parser.add_argument(
        "--feedback", choices=FEEDBACK, default="names", help="what is said of mistakes (names)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is printed (text)")
    batch_command.add_arguments(parser)


def run(arguments):
    """Grade one submission and print the result, or all of a folder and write the tables."""
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}; expected an integer of at least 0")
    if (arguments.path is None) == (arguments.all is None):
        raise ValueError("expected a submission, or --all and a folder of submissions, and not both")
    tasks = choice.chosen(arguments.tasks, arguments.course)
    if arguments.all:
        return batch_command.run(arguments, tasks)
    result = grade(arguments.path, tasks, seed=arguments.seed, feedback=arguments.feedback)
    print(rendered(result, arguments.format, os.environ), end="")
    return 0
