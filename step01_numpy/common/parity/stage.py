"""A stage seen from outside: NumPy arrays go in, NumPy arrays and gradients come out, whatever is inside."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from types import ModuleType

import numpy as np

from step01_numpy.common.parity.signatures import Missing, check_takes

# How many leading arguments of a function get a gradient, and how its backward is called where the stage
# has one: (backward, d_out, arguments, result, options) -> gradients.
DIFFERENTIABLE = {
    "softmax": (1, lambda f, d, a, out, o: (f(d, out, **o),)),
    "log_sum_exp": (1, lambda f, d, a, out, o: (f(d, a[0], out, **o),)),
    "cap": (1, lambda f, d, a, out, o: (f(d, *a, **o),)),
    "rotate": (1, lambda f, d, a, out, o: (f(d, *a[1:], **o),)),
    "linear": (3, lambda f, d, a, out, o: f(d, *a[:2], **o)),
    "layer_norm": (3, lambda f, d, a, out, o: f(d, *a[:2], **o)),
    "rms_norm": (2, lambda f, d, a, out, o: f(d, *a, **o)),
    "relu": (1, lambda f, d, a, out, o: (f(d, *a),)),
    "gelu": (1, lambda f, d, a, out, o: (f(d, *a),)),
    "gelu_tanh": (1, lambda f, d, a, out, o: (f(d, *a),)),
    "silu": (1, lambda f, d, a, out, o: (f(d, *a),)),
    "mean_pool": (1, lambda f, d, a, out, o: (f(d, a[1], **o),)),
    "first_pool": (1, lambda f, d, a, out, o: (f(d, a[1], **o),)),
    "max_pool": (1, lambda f, d, a, out, o: (f(d, *a, **o),)),
    "normalise": (1, lambda f, d, a, out, o: (f(d, *a, **o),)),
    "cross_entropy": (1, lambda f, d, a, out, o: (f(d, *a, **o),)),
    "scaled_dot_product_attention": (3, lambda f, d, a, out, o: f(d, *a[:3], *out, *a[3:], **o)),
    "simple_attention": (3, lambda f, d, a, out, o: f(d, *a, out[1])),
    "flash_attention": (3, lambda f, d, a, out, o: f(d, *a[:3], *out, *a[3:], **o)),
}
BACKWARD_NAMES = {"scaled_dot_product_attention": "attention_backward"}

# What a package may leave to step01, whose code runs on any arrays that NumPy's functions dispatch to.
MODELS = (
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
)


class Stage:
    """
    A package of the stages' face: step01_numpy, step02_torch, step03_gpu, or somebody's own.

    Parameters
    ----------
    package : module or str
        It needs the names that are asked of it and, where its arrays are not NumPy's, `from_numpy`,
        `to_numpy` and `Array`, their type. Gradients come from its `*_backward` functions and `backward`
        methods where it has them, else from its arrays' autograd. If it has no Transformer but a way onto its
        device, `to_device`, as step03, then layers and models are step01's, with its attention.
    """

    def __init__(self, package: ModuleType | str):
        self.package = import_module(package) if isinstance(package, str) else package
        self.name = self.package.__name__
        borrows = hasattr(self.package, "to_device") and not hasattr(self.package, "Transformer")
        self.models = [import_module(f"step01_numpy.{name}") for name in MODELS] if borrows else []

    def __repr__(self):
        return self.name

    def has(self, name: str) -> bool:
        """Tell whether the package offers `name`, or borrows it."""
        return hasattr(self.package, name) or any(_defines(module, name) for module in self.models)

    def get(self, name: str):
        """Return what the package calls `name`; raise `Missing` where it has no such thing."""
        lenders = [module for module in self.models if _defines(module, name)]
        owner = self.package if hasattr(self.package, name) or not lenders else lenders[0]
        if not hasattr(owner, name):
            near = get_close_matches(name, vars(self.package), n=1, cutoff=0.85)
            raise Missing(f"{self.name} has no {name}" + "".join(f" (it has {other})" for other in near))
        return getattr(owner, name)

    def array(self, x):
        """Turn a NumPy array into this stage's, tuples and dicts throughout; leave all else as it is."""
        return _map(x, np.ndarray, self.get("from_numpy")) if self._has_arrays else x

    def numpy(self, x):
        """Turn this stage's arrays, and scalars, into NumPy's, tuples throughout; leave all else as it is."""
        x = _map(x, self.get("Array"), self.get("to_numpy")) if self._has_arrays else x
        return _map(x, np.generic, np.asarray)

    @property
    def _has_arrays(self):
        """Whether the package has a type of array of its own, or at least a part of what that takes."""
        return any(hasattr(self.package, name) for name in ("from_numpy", "to_numpy", "Array"))

    def call(self, function: str, *args, **options):
        """Call a function of the package with NumPy arrays, and return NumPy arrays."""
        call = self.get(function)
        check_takes(f"{self.name}.{function}", call, len(args), options)
        return self.numpy(call(*self.array(args), **self.array(options)))

    def gradients(
        self, function: str, d_out: np.ndarray, *args, result=None, **options
    ) -> tuple[np.ndarray, ...]:
        """
        Return the gradients of Σ d_out · (first result) with respect to the function's array arguments.

        Parameters
        ----------
        function : str
        d_out : np.ndarray
        args : np.ndarray
            What the function is given, options beside.
        result : optional
            What the function returns for them, for a `*_backward` to go on from; else the function is called.
        """
        count, call_backward = DIFFERENTIABLE[function]
        forward, name = self.get(function), BACKWARD_NAMES.get(function, f"{function}_backward")
        check_takes(f"{self.name}.{function}", forward, len(args), options)
        args, options, d_out = self.array(args), self.array(options), self.array(d_out)
        if self.has(name):
            check_takes(f"{self.name}.{name}", self.get(name), 0, options)
            result = forward(*args, **options) if result is None else self.array(result)
            return self.numpy(tuple(call_backward(self.get(name), d_out, args, result, options)))
        if not hasattr(args[0], "requires_grad_"):
            raise Missing(f"{self.name} has no {name}, and its arrays no autograd")
        leaves = [x.requires_grad_() for x in args[:count]]
        _first(forward(*leaves, *args[count:], **options)).backward(d_out)
        return self.numpy(tuple(leaf.grad for leaf in leaves))

    def layer(self, class_name: str, *args, dtype: str = "float64", **options) -> "StageLayer":
        """Build a layer of the package, its weights in float64 or float32."""
        make, borrowed = self.get(class_name), not hasattr(self.package, class_name)
        check_takes(f"{self.name}.{class_name}", make, len(args), options)
        if borrowed and "attend" in signature(make).parameters:
            options = {"attend": self.package.STANDARD, **options}
        layer = make(*args, **options)
        layer = layer.double() if dtype == "float64" else layer.float()
        return StageLayer(self, self.package.to_device(layer) if borrowed else layer)


@dataclass
class StageLayer:
    """A layer of a stage, used with NumPy arrays."""

    stage: Stage
    layer: object

    def load(self, state: dict) -> "StageLayer":
        """Give it the weights of another stage's layer."""
        self.layer.load_state_dict(state)
        return self

    def state(self) -> dict[str, np.ndarray]:
        """Return its weights by name."""
        return {name: self.stage.numpy(x) for name, x in self.layer.state_dict().items()}

    def forward(self, *args, **options):
        """Run it on NumPy arrays."""
        title = f"{self.stage}.{type(self.layer).__name__}"
        check_takes(title, getattr(self.layer, "forward", self.layer), len(args), options)
        return self.stage.numpy(self.layer(*self.stage.array(args), **self.stage.array(options)))

    def gradients(self, d_out: np.ndarray, *args, **options) -> dict[str, np.ndarray]:
        """Run it forward and backward: gradients by the name of the weight, or the number of the input."""
        args, options, d_out = (self.stage.array(x) for x in (args, options, d_out))
        self.layer.zero_grad()
        if hasattr(self.layer, "backward"):
            self.layer(*args, **options)
            again = args if "tokens" in signature(self.layer.backward).parameters else ()  # an embedding's
            inputs = self.layer.backward(d_out, *again)
            inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        else:
            args = tuple(x.requires_grad_() if _is_floating(x) else x for x in args)
            self.layer(*args, **options).backward(d_out)
            inputs = tuple(getattr(x, "grad", None) for x in args)
        found = {str(i): d for i, d in enumerate(inputs) if d is not None}
        found |= {name: p.grad for name, p in self.layer.named_parameters() if p.grad is not None}
        return {name: self.stage.numpy(d) for name, d in found.items()}


def central_differences(function, x: np.ndarray, d_out: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """
    Differentiate Σ d_out · function(x) numerically: the oracle that knows no calculus.

    Notes
    -----
    (f(x + h) - f(x - h)) / 2h for each entry; in float64 with h = 1e-6 good to some 1e-9 of f's size.
    """
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        original = x[i]
        x[i] = original + step
        above = (d_out * function(x)).sum()
        x[i] = original - step
        below = (d_out * function(x)).sum()
        x[i] = original
        gradient[i] = (above - below) / (2 * step)
    return gradient


def _map(x, kind, change):
    if isinstance(x, tuple):
        return tuple(_map(item, kind, change) for item in x)
    if isinstance(x, dict):
        return {key: _map(item, kind, change) for key, item in x.items()}
    return change(x) if isinstance(x, kind) else x


def _defines(module, name):
    """Tell whether a module offers `name` as its own, not as something it imports."""
    missing = not hasattr(module, name)
    return not missing and getattr(getattr(module, name), "__module__", module.__name__) == module.__name__


def _first(result):
    return result[0] if isinstance(result, tuple) else result


def _is_floating(x):
    return "float" in str(getattr(x, "dtype", ""))
