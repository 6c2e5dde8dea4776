"""The starter's modules in PyTorch: cases are answered with arrays, and with what autograd finds."""

import sys

import forbidden
import tensors
import torch
import wire
from loading import Starter, attribute


def warm_up() -> None:
    """Do once what the first use of PyTorch costs, before any child is forked; and with one thread."""
    torch.set_num_threads(1)
    x = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    (x @ x).softmax(-1).sum().backward()


class TorchStarter(Starter):
    """
    The package that was handed out, with one task's functions from the student, in PyTorch.

    Parameters
    ----------
    ask : callable
        Sends a message to the grader and returns its answer.
    """

    def load(self, forbids=(), **message):
        """Import the modules of a task, once what it forbids is out of reach; return notes."""
        for group in forbids:
            forbidden.forbid(group)
        return super().load(**message)

    def serve(self, target, function):
        """Let the grader answer for a function of another task; whoever holds the function still does."""
        if callable(function) and hasattr(function, "__code__"):
            forbidden.give_body(
                function, f"return _ask_grader({target!r}, args, options)", _ask_grader=self.call
            )

    def call(self, target, args, options):
        """Ask the grader for what another function returns; autograd goes back through it."""
        return tensors.answered(super().call, target, args, options)

    def answer(self, kind, case, target, build, calls, state, names, first):
        """Make the calls of a case, and go back from what they return; return the case's message."""
        try:
            module, path = target.split(":")
            built = self.local(build) if build else None
            place = sys.modules[f"{self.package}.{module}"] if built is None else built
            found = tensors.run(
                getattr(place, path.split(".")[-1]), built, self.local(calls), names, first=first
            )
            kept = {path: tensors.plain(attribute(built, path)) for path in state}
            return {
                "kind": "result",
                "case": case,
                "values": found.values,
                "inputs": found.inputs,
                "state": {**kept, **found.gradients},
            }
        except BaseException as error:
            return self.failure(case, error)

    def local(self, value):
        """Return what stands in this process for names, objects, modules and functions of the grader."""
        if isinstance(value, wire.Object) and value.kind.startswith("module "):
            kind = self.local(wire.Name(value.kind.removeprefix("module ")))
            return tensors.assemble(kind, self.local(value.attributes))
        return super().local(value)
