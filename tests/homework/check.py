"""
Check your homework on your own machine: `python check.py`, or `python check.py softmax attention`.

It needs NumPy, for tasks of `step02_torch` PyTorch, and the files beside it. It knows inputs and, of each
right answer and of the usual mistakes, a few numbers by which they are recognised; it knows no solution. How
your homework is graded is another matter: there each task is called alone, on other inputs, and what it
builds on is right.
"""

import json
import sys
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np

RIGHT, ALIKE = 1e-9, 1e-6  # relative differences up to which numbers are right, or those of a mistake
NOT_A_NUMBER, INFINITY = 12345.678, 54321.9  # stand for what cannot be added up


def prints(answer) -> list[float]:
    """Return two sums of all numbers of an answer, each number with a weight of its own, and their scale."""
    parts = [np.asarray(x).astype(np.float64).ravel() for x in _arrays(answer) if x is not None]
    flat = np.concatenate([np.empty(0), *parts])
    finite = np.abs(flat[np.isfinite(flat)]).max(initial=0.0)
    flat = np.nan_to_num(flat, nan=NOT_A_NUMBER, posinf=INFINITY, neginf=-INFINITY)
    scale = max(1.0, float(finite)) * max(1, flat.size) ** 0.5
    return [float(flat @ _weights(flat.size, salt)) for salt in (1, 2)] + [scale]


def _weights(count, salt):
    """Return numbers between -1 and 1 that look random and are the same everywhere."""
    x = (np.arange(1, count + 1, dtype=np.uint64) * 2 + salt) * np.uint64(2654435761)
    x = (x ^ (x >> np.uint64(15))) * np.uint64(2246822519)
    x = (x ^ (x >> np.uint64(13))) & np.uint64(0xFFFFFFFF)
    return x / 2.0**31 - 1


def shapes(answer) -> list:
    """Return the shape of each array of an answer, None for what is missing."""
    return [None if x is None else list(np.shape(x)) for x in _arrays(answer)]


def _arrays(answer):
    """Return all arrays and numbers of the results and of the state behind them."""
    results, state = answer
    return [x for result in results for x in leaves(result)] + leaves(state)


def leaves(answer) -> list:
    """Return the arrays and numbers of an answer in order; a list of numbers is one array."""
    if isinstance(answer, dict):
        return [x for value in answer.values() for x in leaves(value)]
    if isinstance(answer, (tuple, list)) and not all(isinstance(x, (int, float)) for x in answer):
        return [x for value in answer for x in leaves(value)]
    return [answer]


def alike(found, expected, tolerance) -> bool:
    """Tell whether two answers' sums are the same."""
    limit = tolerance * expected[2]
    return all(abs(a - b) <= limit for a, b in zip(found[:2], expected[:2], strict=True))


class Telling:
    """A language model for beam search: a table of logits by the two tokens before."""

    def __init__(self, table):
        self.table, self.before, self.last = table, None, None

    def step(self, tokens):
        """Return the logits of what follows."""
        self.before = np.zeros_like(tokens) if self.last is None else self.last
        self.last = tokens
        return self.table[self.before, self.last]

    def reorder(self, rows):
        """Let row b continue what was row `rows[b]`."""
        self.before, self.last = self.before[rows], self.last[rows]


def locate(name):
    """Return what "module:Class.method" names."""
    module, _, path = name.partition(":")
    found = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def decode(value, arrays, models):
    """Make arguments and objects out of the data file's description; arrays are copies."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[f"a{content}"].copy()
    if kind == "name":
        return locate(content)
    if kind == "model":
        model = models.setdefault(content[0], Telling(arrays[f"a{content[0]}"]))
        return getattr(model, content[1])
    if kind == "module":
        return import_module("check_tensors").assemble(locate(content[0]), decode(content[1], arrays, models))
    if kind == "object":
        made = object.__new__(locate(content[0]))
        vars(made).update(decode(content[1], arrays, models))
        return made
    if kind == "dict":
        return {name: decode(x, arrays, models) for name, x in content.items()}
    items = [decode(x, arrays, models) for x in content[-1]]
    return {"tuple": tuple, "list": list, "named": lambda x: locate(content[0])(*x)}[kind](items)


def attribute(of, path):
    """Return what a dotted path leads to, through attributes and dictionaries; None where it ends early."""
    for name in path.split("."):
        of = of.get(name) if isinstance(of, dict) else getattr(of, name, None)
    return of


def answer(task, case, arrays):
    """Call your function as a case wants it."""
    models, results = {}, []
    if "unit" in task:  # a kernel
        from check_kernels import answer as launched

        ((args, options),) = case["calls"]
        return launched(task, case, decode(args, arrays, models), decode(options, arrays, models))
    found = locate(f"{task['package']}.{case['target']}")
    built = decode(case["object"], arrays, models)
    if "names" in case:
        calls = [[decode(x, arrays, models) for x in call] for call in case["calls"]]
        return torch_answer(task, case, built, found, calls)
    for args, options in case["calls"]:
        args, options = decode(args, arrays, models), decode(options, arrays, models)
        result = found(*([] if built is None else [built]), *args, **options)
        results.append(result[0] if case["first"] else result)
    return results, {name: attribute(built, name) for name in task["state"]}


def torch_answer(task, case, built, found, calls):
    """Call a function of PyTorch, and go back from what it returns: gradients are a part of the answer."""
    tensors = import_module("check_tensors")
    method = found if built is None else found.__get__(built)
    answer = tensors.run(method, built, calls, case["names"], first=case["first"])
    kept = {name: tensors.plain(attribute(built, name)) for name in task["state"]}
    return answer.values, {**kept, **answer.gradients}


def judge(task, case, arrays):
    """Return (what went wrong in words, or None; the sums of your answer, or None)."""
    try:
        found = answer(task, case, arrays)
        own_shapes, own = shapes(found), prints(found)
    except Exception as error:
        if isinstance(error, NotImplementedError) and (not error.args or "goes here" in str(error)):
            return "not written yet", None
        if "unit" in task:
            from check_kernels import words

            return words(error), None
        lines = traceback.extract_tb(error.__traceback__)
        own = [x for x in lines if not Path(x.filename).name.startswith("check")]
        where = f", {Path(own[-1].filename).name} line {own[-1].lineno}" if own else ""
        if type(error).__name__ == "Forbidden":
            return f"calls {error}{where}: this task is to write what that does", None
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{where}", None
    lost = [name for name, x in found[1].items() if name.startswith("gradient of ") and x is None]
    results = shapes((found[0], {}))
    if lost and results == case["shapes"][: len(results)]:
        return f"no {lost[0]}: something takes a tensor out of autograd's graph", own
    if own_shapes != case["shapes"]:
        return _unlike(own_shapes, case["shapes"]), own
    return (None, own) if alike(own, case["right"], RIGHT) else ("other numbers than expected", own)


def _unlike(found, expected):
    """Say which shape is the first that is not as expected, or that there are more or fewer."""
    if len(found) != len(expected):
        return f"{len(found)} values came back; expected {len(expected)}"
    i = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
    which = f"value {i + 1} of {len(found)}" if len(found) > 1 else "the result"
    a, b = ("None" if x is None else f"of shape {tuple(x)}" for x in (found[i], expected[i]))
    return f"{which} is {a}; expected {b}"


def named(task, wrong, right):
    """Name mistakes: (sentence, cases) of those whose numbers are yours, those that explain most first."""
    found, left = [], dict(wrong)
    while left:
        best = (0, 0, "", [])
        for mistake in task["mistakes"]:
            known = mistake["cases"]
            same = [x for x in left if x in known and alike(left[x], known[x], ALIKE)]
            against = sum(x in known for x in right)
            best = max(best, (len(same), -against, mistake["says"], same), key=lambda x: x[:2])
        count, against, says, same = best
        if not count or count < -against:
            break
        found.append((says, same))
        left = {name: sums for name, sums in left.items() if name not in same}
    return found, list(left)


def report(task, arrays, feedback):
    """Check a task; return whether it is right, its points, and what is said about it."""
    for group in task.get("forbids", ()):
        import_module("check_forbidden").forbid(group)
    outcomes = {case["name"]: judge(task, case, arrays) for case in task["cases"]}
    right = [name for name, (words, _) in outcomes.items() if words is None]
    points = task["points"] * len(right)
    lines = [f"{task['name']:26} {points:3} of {task['points'] * len(outcomes)}"]
    wrong = {name: own for name, (words, own) in outcomes.items() if words and own is not None}
    if feedback == "points" or len(right) == len(outcomes):
        return lines, len(right) == len(outcomes), points
    found, unknown = named(task, wrong, right) if feedback == "names" else ([], list(wrong))
    other = {}
    for name in [x for x, (words, own) in outcomes.items() if words and (own is None or x in unknown)]:
        other.setdefault(outcomes[name][0], []).append(name)
    for says, names in [*found, *other.items()]:
        where = "" if len(names) == len(outcomes) else f" [{', '.join(names)}]"
        lines.append(f"    {says}{where}")
    return lines, False, points


def main(folder, chosen):
    """Check the tasks chosen, or all; return 0 where all are right."""
    with np.load(folder / "check.npz") as file:
        arrays = {name: file[name] for name in file.files}
    data = json.loads(arrays["index"].tobytes())
    unknown = [x for x in chosen if x not in [task["name"] for task in data["tasks"]]]
    if unknown:
        print(f"no task is called {unknown[0]!r}: {', '.join(x['name'] for x in data['tasks'])}")
        return 2
    tasks = [task for task in data["tasks"] if not chosen or task["name"] in chosen]
    done, total = {}, 0
    for task in tasks:
        with np.errstate(all="ignore"):
            lines, done[task["name"]], points = report(task, arrays, data["feedback"])
        total += points
        print("\n".join(lines))
        waits = [x for x in task["uses"] if not done.get(x, True)]
        if not done[task["name"]] and waits:
            print(f"    it builds on {', '.join(waits)}, which should be right first")
    print(f"{total} of {sum(x['points'] * len(x['cases']) for x in tasks)} points")
    return 0 if all(done.values()) else 1


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    sys.dont_write_bytecode = True  # nothing is left in the folder that is handed in
    sys.exit(main(here, sys.argv[1:]))
