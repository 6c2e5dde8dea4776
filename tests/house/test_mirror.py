"""The house: stages mirror each other file by file, and a module imports only from those above it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
READING_ORDER = [
    "arrays",
    "softmax",
    "masks",
    "attention",
    "parameters",
    "self_attention",
    "masked_attention",
    "cross_attention",
    "multi_head_attention",
    "positions",
    "rotary",
    "flash_attention",
    "merge",
    "cache",
    "recording",
    "layers",
    "feed_forward",
    "block_attention",
    "blocks",
    "head",
    "transformer",
    "language_model",
    "recurrent",
    "recurrent_scores",
    "recurrent_attention",
    "recurrent_translator",
    "pooling",
    "loss",
    "optimizer",
    "training",
    "generation",
]
FAMILY = READING_ORDER[: READING_ORDER.index("recording") + 1]  # what step03 writes again
OWN = {"arrays": None, "flash_attention": {"FLASH", "on_rung"}}  # what a stage may add to a file; None: any
MACHINERY = ["kernels"]  # what lies between step03's flash attention and its kernels
ATTENDING = ["self_attention", "multi_head_attention"]  # step03 attends by its flash attention
BRINGS_THE_ENGINE = ["generation"]  # the mathematics knows nothing of what serves speed, with this exception
OWN_PARAMETERS = ("rung", "strict", "assign")  # which of a device's kernels; what else PyTorch loads by
MIRRORS = [("step02_torch", name) for name in READING_ORDER] + [("step03_gpu", name) for name in FAMILY]


def modules(package):
    """Names of the package's own modules, in alphabetical order."""
    return sorted(p.stem for p in (ROOT / package).glob("*.py") if not p.stem.startswith("__"))


def public(module):
    """Public functions, classes and constants that a module offers as its own."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    tree = ast.parse(Path(module.__file__).read_text())
    names = {x.name for x in tree.body if isinstance(x, ast.FunctionDef | ast.ClassDef)}
    assignments = [target for x in tree.body if isinstance(x, ast.Assign) for target in x.targets]
    names |= {x.id for target in assignments for x in ast.walk(target) if isinstance(x, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def parameters(function):
    """Names and kinds of a function's parameters, and which of them are optional."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default is p.empty) for p in found if p.name not in OWN_PARAMETERS]


def own_methods(cls):
    """Public methods that a stage's class, or a base of it in a stage, writes itself."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("step0")]
    names = {name for base in bases for name, x in vars(base).items() if inspect.isfunction(x)}
    return {name for name in names if not name.startswith("_") or name == "__init__"}


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch"])
def test_every_stage_has_the_same_files(package):
    assert modules(package) == sorted(READING_ORDER)


@pytest.mark.parametrize(("package", "name"), MIRRORS)
def test_public_names_are_the_same(package, name):
    original = public(import_module(f"step01_numpy.{name}"))
    mirror = public(import_module(f"{package}.{name}"))
    if package == "step02_torch":  # autograd does the backward
        original = {x for x in original if not x.endswith("_backward")}
    own = OWN.get(name, set())
    assert original <= mirror
    assert own is None or mirror <= original | own


@pytest.mark.parametrize(("package", "name"), MIRRORS)
def test_parameters_are_the_same(package, name):
    original, mirror = (import_module(f"{p}.{name}") for p in ("step01_numpy", package))
    for public_name in public(original) & public(mirror):
        a, b = getattr(original, public_name), getattr(mirror, public_name)
        if inspect.isfunction(a) and b.__module__.startswith("step0"):
            assert parameters(a) == parameters(b), public_name
        if inspect.isclass(a) and inspect.isclass(b):
            for method in own_methods(a) & own_methods(b):
                found = parameters(getattr(b, method))
                assert parameters(getattr(a, method)) == found, f"{public_name}.{method}"


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch", "step03_gpu"])
def test_imports_come_from_above(package):
    for name in modules(package):
        if name not in READING_ORDER:
            continue
        above = READING_ORDER[: READING_ORDER.index(name)]
        above += MACHINERY if name == "flash_attention" else []
        above += ["flash_attention"] if package == "step03_gpu" and name in ATTENDING else []
        above += ["engine"] if name in BRINGS_THE_ENGINE else []
        for node in ast.walk(ast.parse((ROOT / package / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("step0"):
                _, *path = node.module.split(".")
                imported = path or [alias.name for alias in node.names]
                own = node.module.startswith(package)
                allowed = ["common", *above, *([] if own else [name])]
                assert imported[0] in allowed, f"{package}.{name} imports {node.module}"


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch", "step03_gpu"])
def test_init_repeats_the_reading_order(package):
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    imported = [x.module.partition(".")[2] for x in tree.body if isinstance(x, ast.ImportFrom)]
    read = [name for name in imported if not name.startswith("engine.")]
    assert imported[: len(read)] == read == [name for name in READING_ORDER if name in modules(package)]
    package = import_module(package)
    offered = {name for m in imported for name in public(import_module(f"{package.__name__}.{m}"))}
    assert set(package.__all__) == offered


@pytest.mark.parametrize("path", sorted(ROOT.glob("step0*/**/*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_size_of_modules_and_functions(path):
    """Small enough to read: modules to 250 lines of code and text, functions to 40 without docstring."""
    source = path.read_text()
    assert len(source.splitlines()) <= 250
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"
