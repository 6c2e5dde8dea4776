"""
What a task is to write itself cannot be called: PyTorch's own raises, by whatever name it is reached.

Functions and methods of Python get another body, so whoever holds them meets it; operators get another kernel
in the dispatcher, through which every way to them leads; modules that compute the same are stood in for.
"""

import ctypes
import sys
import warnings
from importlib import import_module
from types import FunctionType, ModuleType

import torch

# By what a task forbids: what students read, functions and methods, parts of operators' names, modules.
RULES = {
    "attention": (
        ("torch.nn.functional.scaled_dot_product_attention", "torch.nn.MultiheadAttention"),
        (
            "torch.nn.functional:multi_head_attention_forward",
            "torch.nn:MultiheadAttention.__init__",
            "torch.nn:MultiheadAttention.forward",
            "torch.nn:TransformerEncoderLayer.__init__",
            "torch.nn:TransformerDecoderLayer.__init__",
            "torch.nn:Transformer.__init__",
            "torch._higher_order_ops.flex_attention:FlexAttentionHOP.__call__",
            "torch._higher_order_ops.flex_attention:math_attention",
        ),
        ("scaled_dot_product", "multi_head_attention", "_attention_forward", "transformer_encoder_layer"),
        ("torch.nn.attention.flex_attention",),
    ),
    "cross-entropy": (
        ("torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss"),
        ("torch.nn.functional:cross_entropy", "torch.nn:CrossEntropyLoss.__init__"),
        ("cross_entropy_loss", "nll_loss"),
        (),
    ),
}
KEYS = (
    "CPU",
    "AutogradCPU",
    "NestedTensorCPU",
    "AutogradNestedTensor",
    "FuncTorchBatched",
    "FuncTorchVmapMode",
)


class Forbidden(Exception):
    """PyTorch's own of what is to be written; the words are its name."""


class Absent(ModuleType):
    """Stands in for a module that computes what is to be written."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise Forbidden(self.__name__)


def forbid(group: str) -> None:
    """Take away what a task forbids, for as long as this process lives."""
    _, functions, operators, modules = RULES[group]
    for name in functions:
        module, _, path = name.partition(":")
        found = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        spoken = f"{module}.{path.removesuffix('.__init__').removesuffix('.forward')}"
        give_body(found, f"raise _Forbidden({spoken!r})", _Forbidden=Forbidden)
    library = torch._C._dispatch_library("IMPL", "aten", "", __file__, 0)
    for name in sorted({x.partition(".")[0] for x in torch._C._dispatch_get_all_op_names()}):
        if name.startswith("aten::") and any(part in name for part in operators):
            refuse(library, name.removeprefix("aten::"))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))  # it lives on, and nobody can find it
    for name in modules:
        sys.modules[name] = Absent(name)


def refuse(library, name: str) -> None:
    """Let every overload of an operator raise."""

    def refused(*_, **__):
        raise Forbidden(f"torch.{name}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch tells of each kernel that is replaced
        for overload in getattr(torch.ops.aten, name).overloads():
            for key in KEYS:
                library.impl(f"{name}.{overload}" if overload != "default" else name, key, refused)


def give_body(function: FunctionType, body: str, **names) -> None:
    """Give a function another body, which takes anything; whoever holds the function meets it."""
    function = getattr(function, "__wrapped__", function)
    free = function.__code__.co_freevars
    scope: dict = {}
    lines = [
        f"def made({', '.join(free)}):",
        "    def body(*args, **options):",
        f"        {', '.join(free) or '0'}",
        f"        {body}",
        "    return body",
    ]
    exec("\n".join(lines), scope)
    function.__globals__.update(names)
    function.__defaults__ = function.__kwdefaults__ = None
    function.__code__ = scope["made"](*free).__code__
