"""`bundle`: the archive that a platform wants, with the grader and the chosen tasks in it."""

from pathlib import Path

from step01_numpy.common.support.files import write_atomically
from tests.homework import choice
from tests.homework.bundle import LARGEST, PLATFORMS, archive
from tests.homework.grade import FEEDBACK

NAME, HELP = "bundle", "write the archive with which a platform grades: gradescope, classroom50, prairielearn"
NEXT = {
    "gradescope": "upload it as the autograder of a programming assignment",
    "classroom50": "unpack it into CLASSROOM/autograders/ASSIGNMENT; whoever knows the address can read it",
    "prairielearn": "unpack it into the course, build the image of its Dockerfile, and name it in info.json",
}


def add_arguments(parser):
    """Take the platform, the tasks, and the file."""
    parser.add_argument("platform", choices=PLATFORMS, metavar="PLATFORM", help=", ".join(PLATFORMS))
    choice.add_arguments(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="the archive: .zip or .tar.gz")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the cases of all submissions (0)"
    )
    parser.add_argument(
        "--feedback", choices=FEEDBACK, default="names", help="what is said of mistakes (names)"
    )


def run(arguments):
    """Write the archive, and say what to do with it."""
    if arguments.platform == "gradescope" and not arguments.out.endswith(".zip"):
        raise ValueError(f"--out is {arguments.out!r}; expected a .zip, which is all that Gradescope takes")
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}; expected an integer of at least 0")
    tasks = choice.chosen(arguments.tasks, arguments.course)
    entries = PLATFORMS[arguments.platform](tasks, arguments.seed, arguments.feedback)
    data = archive(entries, arguments.out)
    if arguments.platform == "classroom50" and len(data) > LARGEST:
        raise ValueError(f"the archive has {len(data)} bytes; classroom50 takes at most {LARGEST}")
    write_atomically(Path(arguments.out), data)
    print(f"{arguments.out}: {len(entries)} files, {len(data) / 2**20:.1f} MiB; {NEXT[arguments.platform]}")
