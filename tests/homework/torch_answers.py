"""What the solution in PyTorch answers to a case and to a child's calls: arrays in, and arrays out."""

import copy
from functools import partial

import numpy as np
import torch

from tests.homework import reference
from tests.homework.child import tensors, wire
from tests.homework.task import Task

torch.set_num_threads(1)  # the arrays here are so small that threads would mostly wait for each other
CONSTANT = {  # arguments to which no gradient is asked for
    "attention:scaled_dot_product_attention": ("bias",),
    "attention:repeat_heads": ("q",),
    "multi_head_attention:MultiHeadAttention.forward": ("bias",),
    "rotary:rotate": ("cos", "sin"),
}


def names(task: Task, question) -> list[str]:
    """Return the names of the gradients that are asked for in a case; see `tensors.labels`."""
    case, target = question.case, task.target_of(question.case)
    function = reference.find(task.package, target)
    return tensors.labels(function, question.built, case.all_calls, CONSTANT.get(target, ()))


def answer(task: Task, question) -> object:
    """Return what the solution answers; see `answers.answer`."""
    case = question.case
    function = reference.find(task.package, task.target_of(case))
    built, calls, labels = *copy.deepcopy((question.built, case.all_calls)), names(task, question)
    if built is not None:
        function = partial(function, built)
    try:
        found = tensors.run(function, built, calls, labels, first=case.first)
    except Exception as error:  # a mistake may raise anything
        return type(error)
    kept = {path: tensors.plain(wire.look_up(built, path)) for path in task.state}
    return found.values, {**kept, **found.gradients}


def portable(module: torch.nn.Module, package: str, served: list) -> wire.Object:
    """Return a module as it is sent: its class, and its parts."""
    kind = f"module {reference.name_of(type(module), package)}"
    return wire.Object(kind, reference.portable(tensors.parts(module), package, served))


class Server(reference.Server):
    """Answers a child's calls of other tasks, and what autograd would find behind them."""

    def function(self, target: str):
        """Return what is called, if it may be; it takes arrays."""
        name = target.removeprefix("gradient:")
        return partial(called if name == target else gradients, super().function(name))


def called(function, *args, **options):
    """Call a function of tensors with arrays."""
    with torch.no_grad():
        return tensors.plain(function(*map(tensor, args), **{x: tensor(y) for x, y in options.items()}))


def gradients(function, args: tuple, options: dict, back: tuple) -> tuple:
    """Return the gradients of a function's arrays, None for those that have none."""
    args, options = [tensor(x) for x in args], {name: tensor(x) for name, x in options.items()}
    asked = [x for x in (*args, *options.values()) if isinstance(x, torch.Tensor)]
    leaves = [x.requires_grad_() for x in asked if x.is_floating_point()]
    results = tensors.tensors_in(function(*args, **options))
    ends = [(x, tensor(d)) for x, d in zip(results, back, strict=True) if x.requires_grad and d is not None]
    found = iter(tensors.backward([x for x, _ in ends], [d for _, d in ends], leaves))
    return tuple(
        None if not x.is_floating_point() or (d := next(found)) is None else tensors.plain(d) for x in asked
    )


def tensor(x):
    """Return an array as a tensor, and anything else as it is."""
    return torch.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x
