"""
Ask again, where no known mistake explains the numbers of an attention: does it do what every attention does?

Nothing here needs a right answer. A sentence says what was seen, and what it should have been.
"""

import inspect
from dataclasses import dataclass, replace

import numpy as np

from tests.homework import reference
from tests.homework.answers import Question
from tests.homework.judge import Account
from tests.homework.task import Task
from tests.homework.variants import Answers

UNEXPLAINED = ("is wrong in ", "is right in ", "Other numbers")  # what probes say where they see little
ALIKE = 1e-8  # times max(1, largest)
SUM = "The weights of a query do not sum to 1 in your result."
NEGATIVE = "Some of your weights are negative. Weights are shares."
PRODUCT = "Your first result is not your weights times the values."
SHOWN = "Keys that may not be attended to have a weight in your result."
ORDER = (
    "Your result changes with the order of the keys, their values moving with them. It should not: "
    "an attention sees no order."
)
ALONE = "The first batch entry has another result when it comes alone. Entries should not know of each other."
AHEAD = "With `causal` a query answers to a key behind it in your result."


@dataclass(frozen=True)
class Again:
    """What is asked once more, in the form of `Answers`."""

    questions: dict
    known: Answers

    def needs(self, target: str) -> bool:
        """Tell whether the reference itself runs a function."""
        return self.known.needs(target)


def suits(task: Task) -> bool:
    """Tell whether a task is a function of Python's, of queries, keys and values."""
    if task.stage == 3 or "." in task.targets[0].split(":")[1]:
        return False
    function = reference.find(task.package, task.targets[0])
    return list(inspect.signature(function).parameters)[:3] == ["q", "k", "v"]


def sentences(known: Answers, account: Account, told: list[str], examine) -> list[str]:
    """
    Return what is seen of an attention's numbers, where nothing else explains them.

    Parameters
    ----------
    known : Answers
    account : Account
        Of the submission.
    told : list of str
        What it is told already.
    examine : callable
        Puts questions to the submission once more: from (task, Again) to an account.
    """
    if not any(x in text for text in told for x in UNEXPLAINED) or not suits(known.task):
        return []
    seen = of_weights(known, account)
    asked = questions(known)
    answers = {name: x.values for name, x in examine(known.task, Again(asked, known)).answers.items()}
    out = {name: x["result 1"] for name, x in answers.items() if x and "result 1" in x}
    if apart(out, "plain", "another order", lambda x: x):
        seen.append(ORDER)
    if apart(out, "plain", "alone", lambda x: x[:1]):
        seen.append(ALONE)
    if apart(out, "causal", "another last key", lambda x: x[..., :-1, :], lambda x: x[..., :-1, :]):
        seen.append(AHEAD)
    return seen


def questions(known: Answers) -> dict[str, Question]:
    """Return the plain case and the causal one, and each with something changed that should not matter."""
    case = known.questions["plain"].case
    q, k, v = case.args[:3]
    found = {
        "plain": case,
        "another order": replace(case, args=(q, k[..., ::-1, :].copy(), v[..., ::-1, :].copy())),
        "alone": replace(case, args=(q[:1], k[:1], v[:1])),
    }
    if "causal" in known.questions:
        case = found["causal"] = known.questions["causal"].case
        q, k, v = (x.copy() for x in case.args[:3])
        k[..., -1, :], v[..., -1, :] = -k[..., -1, :], 1 - v[..., -1, :]
        found["another last key"] = replace(case, args=(q, k, v))
    return {name: Question(replace(x, name=name), None) for name, x in found.items()}


def of_weights(known: Answers, account: Account) -> list[str]:
    """Return what is seen of the weights and of the result, in the cases in which all scores are small."""
    seen, names = [], [x for x in ("plain", "mask", "causal") if x in known.expected]
    for name in names:
        values, right = account.answers[name].values, known.expected[name].values
        if values is None or values.keys() != right.keys():
            continue
        out, weights = (np.asarray(values[x]) for x in ("result 1", "result 2"))
        expected, v = right["result 2"], known.questions[name].case.args[2]
        if weights.shape != expected.shape or weights.shape[-1] != v.shape[-2] or weights.ndim != v.ndim:
            continue
        seen += [SUM] * (not alike(weights.sum(-1), expected.sum(-1)))
        seen += [NEGATIVE] * bool((weights < 0).any())
        seen += [SHOWN] * bool((weights[expected == 0] != 0).any())
        seen += [PRODUCT] * (out.shape != (weights @ v).shape or not alike(out, weights @ v))
    return list(dict.fromkeys(seen))


def apart(out: dict, name: str, other: str, part, of_other=lambda x: x) -> bool:
    """Tell whether two results that should be alike are there and differ."""
    if name not in out or other not in out or np.ndim(out[name]) < 2 or np.ndim(out[other]) < 2:
        return False
    a, b = part(np.asarray(out[name])), of_other(np.asarray(out[other]))
    return a.shape == b.shape and not alike(a, b)


def alike(a, b) -> bool:
    """Tell whether two arrays have the same numbers, but for rounding; what is not finite tells nothing."""
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        return True
    return bool((abs(a - b) <= ALIKE * max(1.0, abs(b).max(initial=0.0))).all())
