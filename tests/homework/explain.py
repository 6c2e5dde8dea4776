"""
Name the mistakes of a task's answers: by the variants that give the same numbers, else by what can be seen.

A variant explains a case when its numbers are the submission's. The fewest variants that explain all wrong
cases are named; a case may be left to a pair of them, and then to the probes. What is said is about the
numbers, and about where to look: never a formula of the solution.
"""

from itertools import combinations, islice

from tests.homework import probes
from tests.homework.judge import Account, right
from tests.homework.reference import Answer
from tests.homework.variants import Answers, Variant

SAME, NEAR = 1e-6, 1e-4  # times max(1, largest)
MOST_SENTENCES = 6


def explain(account: Account, answers: Answers) -> list[str]:
    """
    Return a sentence for each mistake.

    Parameters
    ----------
    account : Account
        Of a submission: its answers by case.
    answers : Answers
        Of the reference, and of the variants.
    """
    wrong = [x for x in account.answers if not right(account.answers[x], answers.expected[x])]
    numbers = [name for name in wrong if account.answers[name].values is not None]
    near = [x for x in numbers if right(account.answers[x], answers.expected[x], NEAR)]
    left = [x for x in numbers if x not in near] or numbers
    said = []
    for sentences, names in [*singles(account, answers, left), *pairs(account, answers, left)]:
        said += [with_cases(text, names, account) for text in sentences]
        left = [x for x in left if x not in names]
    left = [x for x in left if not account.answers[x].raised]
    if any(x.raised == "Emulator" for x in account.answers.values()):
        said += [with_cases("Numbers are wrong as well, perhaps for the same reason.", left, account)] * bool(
            left
        )
    else:
        said += [with_cases(*x, account) for x in probes.describe(account, answers, left)]
    return list(dict.fromkeys(errors(account, wrong) + said))[:MOST_SENTENCES]


def singles(account: Account, answers: Answers, wrong: list[str]):
    """Yield the sentences of the variants that explain wrong cases, and these; the most telling first."""
    wrong = list(wrong)
    while wrong:
        best = max(answers.variants, key=lambda x: worth(x, account, answers, wrong), default=None)
        if best is None or not convincing(*worth(best, account, answers, wrong)):
            return
        names = explained(best, account, answers, wrong)
        wrong[:] = [x for x in wrong if x not in names]
        yield best.says, names


def pairs(account: Account, answers: Answers, wrong: list[str]):
    """Yield the same for two mistakes at once, of cases that no single one explains."""
    known = {x for _, names in singles(account, answers, wrong) for x in names}
    left = [x for x in wrong if x not in known]
    mutants = [variant.mutants[0] for variant in answers.variants]
    for pair in islice(combinations(mutants, 2), answers.most_pairs if left else 0):
        if pair[0].says == pair[1].says:
            continue
        both = Variant(answers, *pair)
        if not explained(both, account, answers, left[:1]) or not convincing(
            *worth(both, account, answers, left)
        ):
            continue
        names = explained(both, account, answers, left)
        left = [x for x in left if x not in names]
        yield both.says, names
        if not left:
            return


def explained(variant: Variant, account: Account, answers: Answers, wrong) -> list[str]:
    """Return the wrong cases whose numbers are the variant's; exceptions that are alike are no likeness."""
    alike = [x for x in wrong if right(account.answers[x], variant.answer(x), SAME)]
    return [x for x in alike if not right(variant.answer(x), answers.expected[x], SAME)]


def worth(variant: Variant, account: Account, answers: Answers, wrong) -> tuple[int, int]:
    """Return how many wrong cases a variant explains, and minus how many right ones speak against it."""
    names, fine = explained(variant, account, answers, wrong), []
    if names:
        fine = [x for x, found in account.answers.items() if right(found, answers.expected[x])]
    return len(names), -sum(not right(variant.answer(x), answers.expected[x], SAME) for x in fine)


def convincing(n_explained: int, minus_against: int) -> bool:
    """Tell whether a variant explains a case, and at least as many as speak against it."""
    return n_explained > 0 and n_explained >= -minus_against


def with_cases(text: str, names, account: Account) -> str:
    """Put the cases behind a sentence, unless it is about all of them."""
    return text if len(names) == len(account.answers) else f"{text} [{', '.join(names)}]"


def errors(account: Account, wrong) -> list[str]:
    """Return a sentence for each kind of exception, with its cases."""
    groups: dict[str, list[str]] = {}
    for name in wrong:
        if account.answers[name].values is None or account.answers[name].raised:
            groups.setdefault(in_words(account.answers[name]), []).append(name)
    return [with_cases(text, names, account) for text, names in groups.items()]


def in_words(answer: Answer) -> str:
    """Say what became of a case that has no numbers."""
    if answer.raised == "NotImplementedError" and (not answer.text or "your code goes here" in answer.text):
        return "This is not written yet."
    if answer.raised == "Ended":
        return f"Your code {answer.text}."
    if answer.raised == "Emulator":
        return f"The emulator says: {answer.text.rstrip('.')}{'' if answer.text.endswith('?') else '.'}"
    where = f", in line {answer.line}" if answer.line else ""
    if "modified by an inplace operation" in answer.text:
        return "Your code changes in place a tensor that autograd needs on the way back."
    if answer.raised == "Forbidden":
        return f"Your code calls {answer.text[:80]}{where}: this task is to write what that does."
    return f"Your code raises {answer.raised}{where}: {answer.text[:300].rstrip('.') or 'no words'}."
