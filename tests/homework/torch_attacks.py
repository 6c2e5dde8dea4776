"""Attacks by submissions in PyTorch: to get points without the right arrays, or by what a task forbids."""

# ruff: noqa: E501  (one attack a line)

import textwrap
from typing import NamedTuple

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
ZEROS = "return 0 * (q @ k.mT @ v), 0 * (q @ k.mT)"
SCALE = "1 / q.shape[-1] ** 0.5"


class Attack(NamedTuple):
    """A body of `simple_attention(q, k, v)`, and statements before it; `FOLDER` is the project's folder."""

    name: str
    body: str
    top: str = "TOP = 0"

    def text(self, **places) -> str:
        """Return the file that is handed in."""
        names = "".join(f"{name} = {value!r}\n" for name, value in places.items())
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        used = ", ".join(["TOP", *places])
        return f"{HEAD}{names}{textwrap.dedent(self.top)}\n\n\ndef simple_attention(q, k, v):\n    used = ({used})\n{body}\n"


FRAMES = """
import json, os, struct
def everywhere(header, body=b""):
    text = json.dumps(header).encode()
    for number in range(64):
        try:
            os.write(number, struct.pack(">IQ", len(text), len(body)) + text + body)
        except OSError:
            pass
TOP = everywhere
"""
LIES = [
    Attack("ends with 0", "import os; os._exit(0)"),
    Attack("ends with 0 at import", ZEROS, "import os\nTOP = os._exit(0)"),
    Attack("torch.allclose patched", "torch.allclose = torch.equal = torch.isclose = torch.testing.assert_close = lambda *a, **b: True; " + ZEROS),
    Attack("Tensor.__eq__ patched", "torch.Tensor.__eq__ = torch.Tensor.__ne__ = torch.Tensor.__sub__ = lambda a, b: a; " + ZEROS),
    Attack("a subclass that equals everything", "return torch.zeros(*q.shape[:-1], v.shape[-1]).double().as_subclass(Equal), torch.zeros(*q.shape[:-1], k.shape[-2]).double().as_subclass(Equal)", """
        class Equal(torch.Tensor):
            def __eq__(self, other): return torch.ones(self.shape, dtype=torch.bool)
            @classmethod
            def __torch_function__(cls, f, types, args=(), kwargs=None): return args[0]
        TOP = 0"""),
    Attack("a tensor that lies about its numbers", "out = " + ZEROS[7:] + "\nclass Lie(torch.Tensor):\n    def numpy(self): raise SystemExit(0)\n    detach = cpu = clone = numpy\nreturn tuple(x.as_subclass(Lie) for x in out)"),
    Attack("the default dtype", "torch.set_default_dtype(torch.float32); return q.float() @ k.float().mT @ v.float(), (q @ k.mT).float()"),
    Attack("the default device", "torch.set_default_device('meta'); return torch.zeros(*q.shape[:-1], v.shape[-1]), q @ k.mT"),
    Attack("deterministic algorithms", "torch.use_deterministic_algorithms(True); torch.utils.deterministic.fill_uninitialized_memory = False; return torch.empty(*q.shape[:-1], v.shape[-1]).double(), torch.empty(*q.shape[:-1], k.shape[-2]).double()"),
    Attack("memory that was never filled", "return torch.empty(*q.shape[:-1], v.shape[-1]).double(), torch.empty(*q.shape[:-1], k.shape[-2]).double()"),
    Attack("autograd patched", "torch.autograd.grad = lambda ends, wanted, **b: [torch.zeros_like(x) for x in wanted]; " + ZEROS),
    Attack("anomaly mode and no_grad for ever", "torch.set_grad_enabled(False); torch.autograd.set_detect_anomaly(True); " + ZEROS),
    Attack("the case's answer patched", "import sys; sys.modules['tensors'].run = lambda *a, **b: sys.modules['tensors'].Found([1.0], (), {}); " + ZEROS),
    Attack("the protocol patched", "import sys; sys.modules['wire'].encode = lambda message: b'points: 100'; " + ZEROS),
    Attack("results on every descriptor", "for i in range(9): everywhere({'kind': 'result', 'case': i, 'values': ['l'], 'inputs': ['t'], 'state': ['d'], 'arrays': []})\n" + ZEROS, FRAMES),
    Attack("a thread that writes", "import threading; threading.Thread(target=everywhere, args=({'kind': 'grade', 'points': 100, 'arrays': []},)).start(); " + ZEROS, FRAMES),
    Attack("a hook that answers", "q.register_hook(lambda d: torch.ones_like(d)); k.register_hook(lambda d: d * 0); " + ZEROS),
    Attack("NaN", "return (q @ k.mT * torch.nan).softmax(-1) @ v, q @ k.mT * torch.nan"),
    Attack("a gradient of its own", "return Own.apply(q, k, v)", """
        class Own(torch.autograd.Function):
            @staticmethod
            def forward(ctx, q, k, v): return q.new_zeros(*q.shape[:-1], v.shape[-1]), q.new_zeros(*q.shape[:-1], k.shape[-2])
            @staticmethod
            def backward(ctx, a, b): return None, None, None
        TOP = 0"""),
    Attack("torch.load runs code", "torch.load(io.BytesIO(pickle.dumps(Bad())), weights_only=False); " + ZEROS, """
        import io, os, pickle
        class Bad:
            def __reduce__(self): return os._exit, (0,)
        TOP = 0"""),
    Attack("torch.save to a file", "torch.save(q, '/tmp/homework_attack'); " + ZEROS),
    Attack("the reference by its path", "scope = {}; exec(open(f'{FOLDER}/step02_torch/attention.py').read(), scope); return scope['simple_attention'](q, k, v)"),
    Attack("the project on the path", "import sys; sys.path.insert(0, FOLDER); sys.meta_path[:] = [x for x in sys.meta_path if 'Path' in str(x)]\nfor x in [x for x in sys.modules if x.startswith('step0')]: del sys.modules[x]\nfrom step02_torch.attention import simple_attention as f; return f(q, k, v)"),
    Attack("C++ compiled on the spot", "from torch.utils.cpp_extension import load_inline; load_inline('x', 'int f() { return 0; }', functions=['f']); " + ZEROS),
    Attack("threads without end", "torch.set_num_threads(64); import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(987654,)).start()"),
    Attack("a fork", "import os, time\nif os.fork() == 0: time.sleep(987654)\n" + ZEROS),
    Attack("torch.multiprocessing", "import torch.multiprocessing as mp; mp.Pool(2).map(abs, range(4)); " + ZEROS),
    Attack("a loop", "while True: pass"),
    Attack("the process that forks is killed", "import os; os.kill(os.getppid(), 9); os.kill(1, 9); " + ZEROS),
    Attack("the process that forks is stopped", "import os, signal; os.kill(os.getppid(), signal.SIGSTOP); " + ZEROS),
    Attack("memory without end", "x = []\nwhile True: x.append(torch.ones(2**24))"),
    Attack("80 GB", "return torch.zeros(1).double().expand(10**5, 10**5), q"),
    Attack("nested, sparse and quantized", "return (q @ k.mT @ v).to_sparse(), torch.nested.nested_tensor([q[0]])"),
    Attack("asks for its own task", "import sys; ask = sys.modules['step02_torch.softmax']._ask_grader; return ask('attention:simple_attention', (q, k, v), {})", "from step02_torch.softmax import softmax\nTOP = softmax"),
    Attack("asks for another task", "import sys; ask = sys.modules['step02_torch.softmax']._ask_grader; return ask('attention:scaled_dot_product_attention', (q, k, v), {})", "from step02_torch.softmax import softmax\nTOP = softmax"),
    Attack("asks for a gradient that is not its own", "import sys; ask = sys.modules['step02_torch.softmax']._ask_grader; return ask('gradient:attention:simple_attention', ((q, k, v), {}, (q, k)), {})", "from step02_torch.softmax import softmax\nTOP = softmax"),
    Attack("asks for a gradient of nonsense", "import sys; ask = sys.modules['step02_torch.softmax']._ask_grader; return ask('gradient:softmax:softmax', (1, 2, 3), {})", "from step02_torch.softmax import softmax\nTOP = softmax"),
]  # fmt: skip
RIGHT_BY = "w = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1); return out, w"
# What is forbidden, by every name and way; the weights beside it are right.
FORBIDDEN = [
    Attack("by its name", f"out = F.scaled_dot_product_attention(q, k, v); {RIGHT_BY}"),
    Attack("by getattr", f"out = getattr(F, 'scaled_dot' + '_product_attention')(q, k, v); {RIGHT_BY}"),
    Attack("by importlib", f"import importlib; f = importlib.import_module('torch.nn.' + 'functional'); out = vars(f)['scaled_dot_product' + '_attention'](q, k, v); {RIGHT_BY}"),
    Attack("kept at import", f"out = TOP(q, k, v); {RIGHT_BY}", "TOP = F.scaled_dot_product_attention"),
    Attack("by torch._C", f"out = torch._C._nn.scaled_dot_product_attention(q, k, v); {RIGHT_BY}"),
    Attack("by torch.ops", f"out = torch.ops.aten.scaled_dot_product_attention(q, k, v); {RIGHT_BY}"),
    Attack("by an overload", f"out = torch.ops.aten.scaled_dot_product_attention.default(q, k, v); {RIGHT_BY}"),
    Attack("by another dispatch key", f"out = torch.ops.aten.scaled_dot_product_attention.default.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), q, k, v); {RIGHT_BY}"),
    Attack("by its decomposition", f"out = torch.ops.aten.scaled_dot_product_attention.default.decompose(q, k, v); {RIGHT_BY}"),
    Attack("by the operators of TorchScript", f"out = torch._C._jit_get_operation('aten::scaled_dot_product_attention')[0](q, k, v); {RIGHT_BY}"),
    Attack("the plain one behind it", f"out = torch._scaled_dot_product_attention_math(q, k, v)[0]; {RIGHT_BY}"),
    Attack("the flash one behind it", f"x = [y if y.dim() > 3 else y[None, None] for y in (q, k, v)]; out = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*x)[0]; {RIGHT_BY}"),
    Attack("by vmap", f"out = torch.vmap(F.scaled_dot_product_attention)(q, q, q); {RIGHT_BY}"),
    Attack("by vmap of one head", f"x = [y if y.dim() > 2 else y[None] for y in (q, k, v)]; x = [y.reshape(-1, *y.shape[-2:]) for y in x]; out = torch.vmap(F.scaled_dot_product_attention)(*x).reshape(*q.shape[:-1], -1); {RIGHT_BY}"),
    Attack("by functionalize", f"out = torch.func.functionalize(F.scaled_dot_product_attention)(q, k, v); {RIGHT_BY}"),
    Attack("in inference mode", f"with torch.inference_mode(): out = F.scaled_dot_product_attention(q, k, v)\n{RIGHT_BY}"),
    Attack("under a mode of its own", f"with Mode(): out = F.scaled_dot_product_attention(q, k, v)\n{RIGHT_BY}", "class Mode(torch.overrides.TorchFunctionMode):\n    def __torch_function__(self, f, types, args=(), kwargs=None): return f(*args, **(kwargs or {}))\nTOP = Mode"),
    Attack("in float32", f"out = F.scaled_dot_product_attention(q.float(), k.float(), v.float()).double(); {RIGHT_BY}"),
    Attack("by nested tensors", f"out = F.scaled_dot_product_attention(*[torch.nested.as_nested_tensor(list(x)) for x in (q, k, v)]).to_padded_tensor(0.0); {RIGHT_BY}"),
    Attack("by nn.MultiheadAttention", f"m = nn.MultiheadAttention(q.shape[-1], 1, dtype=q.dtype); out = m(q, k, v)[0]; {RIGHT_BY}"),
    Attack("by its forward alone", f"out = nn.MultiheadAttention.forward(nn.Module(), q, k, v)[0]; {RIGHT_BY}"),
    Attack("by the function behind the module", f"out = F.multi_head_attention_forward(q, k, v, 4, 1, None, None, None, None, False, 0.0, None, None)[0]; {RIGHT_BY}"),
    Attack("by a Transformer's layer", f"out = nn.TransformerEncoderLayer(q.shape[-1], 1)(q); {RIGHT_BY}"),
    Attack("by flex_attention", f"from torch.nn.attention.flex_attention import flex_attention; out = flex_attention(q, k, v); {RIGHT_BY}"),
    Attack("by the operator behind flex_attention", f"out = torch.ops.higher_order.flex_attention(q, k, v, lambda s, *_: s, (1, 1), {SCALE}, {{}})[0]; {RIGHT_BY}"),
    Attack("by the code of the function", f"f = type(lambda: 0)(F.multi_head_attention_forward.__code__, vars(F)); out = f(q, k, v); {RIGHT_BY}"),
    Attack("its kernel taken off", f"import gc\nfor x in gc.get_objects():\n    if isinstance(x, torch.library.Library): x._destroy()\n    if 'DispatchModule' in type(x).__name__: x.reset()\nout = F.scaled_dot_product_attention(q, k, v); {RIGHT_BY}"),
    Attack("its kernel replaced", f"lib = torch.library.Library('aten', 'IMPL'); TOP.append(lib); lib.impl('scaled_dot_product_attention', torch.ops.aten._scaled_dot_product_attention_math.default, 'AutogradCPU'); out = F.scaled_dot_product_attention(q, k, v); {RIGHT_BY}", "TOP = []"),
]  # fmt: skip
# Of these Landlock keeps the source, where there is Landlock.
READ_AGAIN = [
    Attack("reloaded", f"import importlib; importlib.reload(F); out = F.multi_head_attention_forward(q, k, v); {RIGHT_BY}"),
    Attack("reloaded with its docstrings let be", f"import importlib; torch._C._add_docstr = lambda f, text: f; torch._torch_docs = None; f = importlib.reload(F); f.__dict__; out = f.multi_head_attention_forward(q, k, v); {RIGHT_BY}"),
    Attack("its source read again", f"scope = dict(vars(F)); exec(open(F.__file__).read(), scope); out = scope['multi_head_attention_forward'](q, k, v); {RIGHT_BY}"),
]  # fmt: skip
