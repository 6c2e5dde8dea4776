"""The starter's modules from memory, a student's functions in one of them, and the calls that judge these."""

import __future__

import importlib.abc
import importlib.util
import sys
from types import FunctionType

import wire
from splice import splice

FLAGS = __future__.annotations.compiler_flag  # annotations are text: nobody evaluates them


class Refused(Exception):
    """A call that the grader does not answer."""


class Starter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """
    The package that was handed out, with one task's functions from the student.

    Parameters
    ----------
    ask : callable
        Sends a message to the grader and returns its answer.
    """

    def __init__(self, ask):
        self.ask = ask
        self.package, self.texts, self.others, self.spliced, self.notes = "", {}, [], {}, []

    def load(self, package, texts, student, targets, also, others):
        """
        Import the modules of a task.

        Parameters
        ----------
        package : str
        texts : dict
            Of all files of the starter, and those that the student has added, by the modules' full names.
        student : dict
            The student's text for each module of the task, by name within the package.
        targets, also, others : list of str
            As the table names them; `others` are the targets of other tasks, which the grader answers.

        Returns
        -------
        notes : list of str
        """
        self.package, self.texts, self.others = package, texts, others
        for name, text in student.items():
            own = [
                [x.split(":")[1] for x in some if x.split(":")[0] == name] for some in (targets, also, others)
            ]
            tree, notes = splice(
                texts[f"{package}.{name}"], text, own[0], f"{name.replace('.', '/')}.py", *own[1:]
            )
            self.spliced[f"{package}.{name}"] = tree
            self.notes += notes
        sys.meta_path.insert(0, self)
        for name in student:
            importlib.import_module(f"{package}.{name}")
        return self.notes

    def find_spec(self, name, path=None, target=None):
        """Find what is in the starter; a package is a name that others begin with."""
        if name in self.texts:
            inside = any(other.startswith(f"{name}.") for other in self.texts)
            return importlib.util.spec_from_loader(name, self, is_package=inside)
        return None

    def exec_module(self, module):
        """Run a module's text."""
        name = module.__name__
        file = name.removeprefix(f"{self.package}.").replace(".", "/") + ".py"
        source = self.spliced.get(name, self.texts[name])
        exec(compile(source, file, "exec", FLAGS, dont_inherit=True), vars(module))
        for target in self.others:
            place, _, function = target.partition(":")
            if f"{self.package}.{place}" == name:
                self.serve(target, vars(module).get(function))

    def serve(self, target, function):
        """Let the grader answer for a function of another task; whoever holds the function still does."""
        if type(function) is not FunctionType:
            return
        scope: dict = {}
        exec(f"def served(*args, **options): return _ask_grader({target!r}, args, options)", scope)
        function.__globals__["_ask_grader"] = self.call
        function.__defaults__ = function.__kwdefaults__ = None
        function.__code__ = scope["served"].__code__

    def call(self, target, args, options):
        """Ask the grader for what another function returns, or raise what it raised."""
        answer = self.ask({"kind": "call", "target": target, "args": args, "options": options})
        if answer["kind"] == "answer":
            return answer["value"]
        kinds = {"TypeError": TypeError, "ValueError": ValueError}
        raise kinds.get(answer["type"], Refused)(answer["text"])

    def answer(self, kind, case, target, build, calls, state):
        """Make the calls of a case; return its message, whatever the student's code did."""
        try:
            module, path = target.split(":")
            place = self.local(build) if build else sys.modules[f"{self.package}.{module}"]
            function = getattr(place, path.split(".")[-1])
            calls = self.local(calls)
            values = [function(*args, **options) for args, options in calls]
            kept = {path: attribute(place, path) for path in state}
            inputs = tuple(
                x for args, options in calls for x in (*args, *options.values()) if type(x) is wire.np.ndarray
            )
            return {"kind": "result", "case": case, "values": values, "inputs": inputs, "state": kept}
        except BaseException as error:
            return self.failure(case, error)

    def local(self, value):
        """Return what stands in this process for names, objects and functions of the grader."""
        if isinstance(value, wire.Name):
            module, name = value.text.split(":")
            return wire.look_up(importlib.import_module(f"{self.package}.{module}"), name)
        if isinstance(value, wire.Served):
            return lambda *args, **options: self.call(f"argument:{value.index}", args, options)
        if isinstance(value, wire.Object):
            kind = self.local(wire.Name(value.kind))
            attributes = {name: self.local(x) for name, x in value.attributes.items()}
            if issubclass(kind, tuple):
                return kind(**attributes)
            made = object.__new__(kind)
            vars(made).update(attributes)
            return made
        if type(value) in (tuple, list):
            return type(value)(self.local(x) for x in value)
        return {key: self.local(x) for key, x in value.items()} if type(value) is dict else value

    def failure(self, case, error):
        """Return the message of an exception."""
        return {"kind": "error", "case": case, **self.describe(error)}

    def describe(self, error):
        """Return kind, words and line of an exception."""
        line, trace = 0, error.__traceback__
        files = {f"{name.removeprefix(self.package + '.').replace('.', '/')}.py" for name in self.spliced}
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename in files else line
            trace = trace.tb_next
        return {"type": type(error).__name__[:80], "text": " ".join(str(error)[:500].split()), "line": line}

    def import_failed(self, error):
        """Return a sentence about an exception while the student's file was read."""
        said = self.describe(error)
        where = f", line {said['line']}" if said["line"] else ""
        return f"Your file cannot be imported: {said['type']}: {said['text']}{where}."


def attribute(place, path):
    """Return what a path leads to; None where it ends early, as a layer may be without a bias."""
    try:
        return wire.look_up(place, path)
    except (AttributeError, KeyError):
        return None
