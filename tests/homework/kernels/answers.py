"""What a task over kernels should bring, and its known mistakes bring: these are compiled once, together."""

from functools import cached_property
from pathlib import Path

from step03_gpu.emulator import EmulatorError, RawModule, compiler, warp_order
from step03_gpu.kernels import FOLDER
from tests.homework.answers import Question, questions
from tests.homework.judge import right
from tests.homework.kernels import launches
from tests.homework.kernels.mistakes import MISTAKES, Mistake
from tests.homework.kernels.reference import ANSWERS
from tests.homework.kernels.regions import expand, names, put, regions
from tests.homework.kernels.task import KernelTask
from tests.homework.mistakes import DIFFERENT
from tests.homework.reference import Answer

DRIVERS = Path(__file__).parent / "drivers"
QUICK = '#pragma GCC optimize("O0")\n'  # these run once, on little


def read(file: str) -> str:
    """Return the text of a kernel's file, a driver's, or of the emulator's stand-in for PTX."""
    if file == "ptx.cuh":
        return (compiler.INCLUDE / file).read_text("utf-8")
    folder = DRIVERS if (DRIVERS / file).is_file() else FOLDER
    return (folder / file).read_text("utf-8")


def expected(question: Question) -> dict:
    """Return what a case should bring."""
    options = dict(question.case.options)
    name, orders = options.pop("launch"), options.pop("orders", False)
    found = ANSWERS[name](*question.case.args, **options)
    if not orders:
        return found
    return {launches.named(x, order, seed): y for order, seed in launches.ORDERS for x, y in found.items()}


def mistaken(mistake: Mistake, task: KernelTask) -> dict[str, str]:
    """Return the files of a task that change with a mistake, by their names."""
    found = {}
    for file, some in names(task.targets).items():
        text = read(file)
        for name in some:
            region = regions(text)[name].text
            text = put(text, name, region.replace(mistake.old, mistake.new))
        if text != read(file):
            found[file] = text
    return found


class KernelAnswers:
    """
    What the reference and the known mistakes answer to a task's cases; see `tests.homework.variants`.

    Parameters
    ----------
    task : KernelTask
    seed : int
    asked : list of Question, optional
        In place of those that the seed gives.
    """

    most_pairs = 0

    def __init__(self, task: KernelTask, seed: int = 0, asked: list[Question] | None = None):
        self.task = task
        self.questions = {x.case.name: x for x in asked or questions(task, seed)}
        self.expected = {name: Answer(expected(x)) for name, x in self.questions.items()}

    @cached_property
    def variants(self) -> tuple["KernelVariant", ...]:
        """A variant for each mistake that is known by its numbers."""
        known = [x for x in MISTAKES if x.task == self.task.name and x.numbers]
        texts = [expand("ptx.cuh", read)]
        for i, mistake in enumerate(known):
            changed = mistaken(mistake, self.task)
            text = expand(self.task.unit, lambda x, own=changed: own.get(x) or read(x), {"ptx.cuh"})
            texts.append(f"namespace mistake_{i} {{\n{text}\n}}\n")
        all_names = [f"mistake_{i}::{name}" for i in range(len(known)) for name in self.task.names]
        module = RawModule(QUICK + "".join(texts), name_expressions=all_names, timeout=20)
        return tuple(KernelVariant(self, x, module, i) for i, x in enumerate(known))


class KernelVariant:
    """
    A mistake, and what it answers.

    Parameters
    ----------
    known : KernelAnswers
    mistake : Mistake
    module : RawModule
        Of all mistakes of the task.
    index : int
        Among them.
    """

    def __init__(self, known: KernelAnswers, mistake: Mistake, module: RawModule, index: int):
        self.known, self.mutants, self.says = known, (mistake,), (mistake.says,)
        self._module, self._index, self._answers = module, index, {}

    def answer(self, name: str) -> Answer:
        """Return the answer to a case."""
        if name not in self._answers:
            case = self.known.questions[name].case
            launch, orders = launches.of(case.args, case.options)
            kernel = self._module.get_function(f"mistake_{self._index}::{launch.kernel}")
            try:
                found = Answer(launches.answer(kernel, launch, orders, warp_order))
            except EmulatorError as error:
                found = Answer(None, "Emulator", str(error))
            self._answers[name] = found
        return self._answers[name]


def wrong_answers(task: KernelTask, asked: list[Question]) -> dict:
    """Return what each mistake that is known by its numbers answers, where that is not right."""
    found = {}
    for x in KernelAnswers(task, asked=asked).variants:
        answers = {case.case.name: x.answer(case.case.name) for case in asked}
        wrong = {name: a for name, a in answers.items() if not right(a, x.known.expected[name], DIFFERENT)}
        if wrong:
            found[x.mutants[0]] = {
                name: RuntimeError if a.values is None else ([a.values], {}) for name, a in wrong.items()
            }
    return found
