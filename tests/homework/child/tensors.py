"""
A case in PyTorch: arrays in, arrays out, and the gradients that autograd finds on the way back.

The grader, the child and a student's own check all ask through this file, which knows NumPy and PyTorch
alone. What comes back to the results is random to the eye and the same everywhere.
"""

import inspect
from typing import NamedTuple

import numpy as np
import torch

GRADIENT = "gradient of "


class Found(NamedTuple):
    """What a case brought: results, the arguments' arrays as they are afterwards, and gradients by name."""

    values: list
    inputs: tuple
    gradients: dict


def upstream(size: int, salt: int) -> np.ndarray:
    """Return numbers between -1 and 1 that look random and are the same everywhere."""
    x = (np.arange(1, size + 1, dtype=np.uint64) * 2 + salt) * np.uint64(2654435761)
    x = (x ^ (x >> np.uint64(15))) * np.uint64(2246822519)
    x = (x ^ (x >> np.uint64(13))) & np.uint64(0xFFFFFFFF)
    return x / 2.0**31 - 1


def labels(function, built, calls, constant=()) -> list[str]:
    """
    Return a name for the gradient of each array of floats, in order, and of each weight of the object.

    "" stands where no gradient is asked for, for arguments that are constant. The names are those of the
    function's parameters, so this is the solution's to say.
    """
    names, found = list(inspect.signature(function).parameters)[built is not None :], []
    for number, (args, options) in enumerate(calls, 1):
        given = [*zip(names, args, strict=False), *options.items()]
        call = f" of call {number}" if len(calls) > 1 else ""
        found += [
            "" if name in constant else f"{GRADIENT}{name}{call}" for name, x in given if is_float_array(x)
        ]
    return found + [f"{GRADIENT}{name}" for name, _ in weights(built)]


def run(function, built, calls, names, first: bool = False) -> Found:
    """
    Make the calls of a case, and go back from their results.

    Parameters
    ----------
    function : callable
    built : object or None
        Whose method it is.
    calls : tuple of (args, options)
        With NumPy's arrays.
    names : list of str
        From `labels`.
    first : bool
        Whether of several results only the first counts.
    """
    leaves, handed, values, left = [], [], [], list(names)

    def tensor(x):
        if not isinstance(x, np.ndarray):
            return x
        made = torch.from_numpy(x.copy())
        if is_float_array(x):
            leaves.append(made.requires_grad_(bool(left.pop(0))))
            made = made.clone()  # no leaf: what is changed in place is seen, and does not raise
        handed.append(made)
        return made

    for args, options in calls:
        args, options = [tensor(x) for x in args], {name: tensor(x) for name, x in options.items()}
        value = function(*args, **options)
        values.append(value[0] if first and isinstance(value, (tuple, list)) and value else value)
    leaves += [x for _, x in weights(built)]
    found = {
        name: None if x is None else plain(x)
        for name, x in zip(names, gradients(values, leaves), strict=True)
        if name
    }
    return Found([plain(x) for x in values], tuple(plain(x) for x in handed), found)


def gradients(values, leaves) -> list:
    """Return the gradients of the leaves, None where autograd finds no way to one."""
    ends = [x for x in tensors_in(values) if x.requires_grad]
    wanted = [x for x in leaves if x.requires_grad]
    back = [torch.from_numpy(upstream(x.numel(), i)).reshape(x.shape).to(x.dtype) for i, x in enumerate(ends)]
    found = backward(ends, back, wanted)
    return [found.pop(0) if x.requires_grad else None for x in leaves]


def backward(ends: list, back: list, wanted: list) -> list:
    """Return the gradients of the wanted tensors for what comes back to the ends."""
    if not ends or not wanted:
        return [None] * len(wanted)
    total = sum(
        (x * d).sum() for x, d in zip(ends, back, strict=True)
    )  # whatever it is: its slopes are `back`
    return list(torch.autograd.grad(total, wanted, allow_unused=True))


def tensors_in(value) -> list:
    """Return the tensors of a result, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in tensors_in(part)] if isinstance(value, (tuple, list)) else []


def plain(value):
    """Return a result with arrays in the place of tensors."""
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            x = value.detach().cpu().resolve_conj().resolve_neg()
            return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    if isinstance(value, tuple):
        return tuple(plain(x) for x in value)
    if isinstance(value, list):
        return [plain(x) for x in value]
    return {name: plain(x) for name, x in value.items()} if isinstance(value, dict) else value


def is_float_array(x) -> bool:
    """Tell whether a value is an array of floats."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def weights(built) -> list:
    """Return the weights of a module by name; other objects have none."""
    return list(built.named_parameters()) if isinstance(built, torch.nn.Module) else []


def parts(module) -> dict:
    """Return what a module is made of: its own attributes, its weights as arrays, the modules in it."""
    return {
        "own": {name: x for name, x in vars(module).items() if name[0] != "_" and name != "training"},
        "weights": {name: None if x is None else plain(x) for name, x in module._parameters.items()},
        "modules": dict(module._modules),
    }


def assemble(kind, parts: dict):
    """Make a module of its class and its parts, without its constructor."""
    made = object.__new__(kind)
    torch.nn.Module.__init__(made)
    for name, x in parts["weights"].items():
        made.register_parameter(name, None if x is None else torch.nn.Parameter(torch.from_numpy(x.copy())))
    for name, x in parts["modules"].items():
        made.register_module(name, x)
    for name, x in parts["own"].items():
        object.__setattr__(made, name, x)
    return made


class Answered(torch.autograd.Function):
    """Results that were computed elsewhere, whose gradients are asked for where they are needed."""

    @staticmethod
    def forward(ctx, ask, count, *tensors):
        """Return the first `count` tensors; the others are what they were computed from."""
        ctx.ask, ctx.count = ask, count
        results = tuple(x.clone() for x in tensors[:count])
        ctx.mark_non_differentiable(*(x for x in results if not x.is_floating_point()))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *back):
        """Ask for the gradients."""
        return None, None, *[None] * ctx.count, *ctx.ask(back)


def answered(ask, target: str, args: tuple, options: dict):
    """
    Call a function that is elsewhere, with tensors; autograd goes back through it.

    Parameters
    ----------
    ask : callable
        (target, args, options), with arrays, to what the function returns, in arrays.
    target : str
        The gradients are those of "gradient:target", of (args, options, what comes back).
    args, options : tuple, dict
    """
    sent = plain(tuple(args)), plain(dict(options))
    value = ask(target, *sent)
    results = [torch.from_numpy(x) for x in arrays_in(value)]
    asked = [x for x in (*args, *options.values()) if isinstance(x, torch.Tensor)]

    def back(gradients):
        wanted = tuple(None if x is None else plain(x) for x in gradients)
        found = ask(f"gradient:{target}", (*sent, wanted), {})
        return [None if x is None else torch.from_numpy(x) for x in found]

    if results and torch.is_grad_enabled() and any(x.requires_grad for x in asked):
        results = list(Answered.apply(back, len(results), *results, *asked))
    return with_tensors(value, results)


def arrays_in(value) -> list:
    """Return the arrays of a value, in order."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [np.array(value)]
    return [x for part in value for x in arrays_in(part)] if isinstance(value, (tuple, list)) else []


def with_tensors(value, results: list):
    """Return a value with tensors in the place of its arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return results.pop(0)
    return type(value)(with_tensors(x, results) for x in value) if isinstance(value, (tuple, list)) else value
