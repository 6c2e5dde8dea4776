"""Attacks on the grader: submissions that want points without the right arrays, or to leave something behind."""

# ruff: noqa: E501  (one attack a line)

import textwrap
from typing import NamedTuple


class Attack(NamedTuple):
    """
    A body of `softmax_backward(d_weights, weights, axis=-1)` that does not compute it.

    Parameters
    ----------
    name : str
    body : str
        `TARGET` in it is a folder that everybody may write to, `PORT` of a socket that listens, `ROOT` the
        project's folder.
    top : str
        Statements before the function.
    """

    name: str
    body: str
    top: str = ""

    def text(self, **places) -> str:
        """Return the file that is handed in."""
        names = "".join(f"{name} = {value!r}\n" for name, value in places.items())
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        function = f"def softmax_backward(d_weights, weights, axis=-1):\n    used = (ZERO, TOP)\n{body}\n"
        top = textwrap.dedent(self.top) or "TOP = 0\n"
        return f"import numpy as np\n{names}ZERO = 0\n{top}\n\n{function}"


FRAMES = """
import json, os, struct
def frame(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">IQ", len(text), len(body)) + text + body
def everywhere(data):
    for number in range(64):
        try:
            os.write(number, data)
        except OSError:
            pass
def forged(case=0, **more):
    return frame({"kind": "result", "case": case, "values": ["l"], "inputs": ["t"], "state": ["d"], "arrays": [], **more})
TOP = (frame, everywhere, forged)
"""
WIRE = """
import sys
wire = sys.modules["wire"]
TOP = wire
"""
ZEROS = "return np.zeros_like(weights)"

EARLY = [
    Attack("ends with 0", "import os; os._exit(0)"),
    Attack("ends with 0 at import", ZEROS, "import os\nTOP = os._exit(0)"),
    Attack("sys.exit", "import sys; sys.exit(0)"),
    Attack("SystemExit at import", ZEROS, "def end(): raise SystemExit(0)\nTOP = end()"),
    Attack("another program in its place", "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])"),
    Attack("segmentation fault", "import ctypes; ctypes.string_at(0)"),
    Attack("abort", "import os; os.abort()"),
    Attack("kills itself", "import os; os.kill(os.getpid(), 9)"),
    Attack("closes every file", "import os; os.closerange(0, 64); " + ZEROS),
]
LIES = [
    Attack(
        "NumPy's comparisons patched",
        "np.allclose = np.array_equal = np.isclose = lambda *a, **b: True; " + ZEROS,
    ),
    Attack(
        "NumPy's errors patched",
        "np.isnan = lambda x: np.zeros(np.shape(x), bool); np.abs = lambda x: x * 0; " + ZEROS,
    ),
    Attack("json patched", "import json; json.dumps = lambda *a, **b: '{\"points\": 100}'; " + ZEROS),
    Attack("the protocol says points", "wire.encode = lambda message: b'points: 100'; return weights", WIRE),
    Attack("the protocol says nothing", "wire.encode = lambda message: b''; return weights", WIRE),
    Attack("the protocol's arrays", "wire.plain = lambda value: np.ones(3); return weights", WIRE),
    Attack(
        "a grade on every descriptor",
        "everywhere(frame({'kind': 'grade', 'points': 100, 'arrays': []})); " + ZEROS,
        FRAMES,
    ),
    Attack("a result on every descriptor", "everywhere(forged() * 9); " + ZEROS, FRAMES),
    Attack("results for all cases", "everywhere(b''.join(map(forged, range(9)))); " + ZEROS, FRAMES),
    Attack("another case's result", "everywhere(forged(7)); " + ZEROS, FRAMES),
    Attack(
        "ready once more",
        "everywhere(frame({'kind': 'ready', 'holds': ['l'], 'arrays': []})); " + ZEROS,
        FRAMES,
    ),
    Attack(
        "loaded once more",
        "everywhere(frame({'kind': 'loaded', 'notes': ['l'], 'arrays': []})); " + ZEROS,
        FRAMES,
    ),
    Attack("a result with points", "everywhere(forged(points=100)); " + ZEROS, FRAMES),
    Attack("results at import", ZEROS, FRAMES + "everywhere.x = everywhere(forged() * 9)\n"),
    Attack("at exit", "import atexit; atexit.register(everywhere, forged()); " + ZEROS, FRAMES),
    Attack(
        "a thread that writes",
        "import threading; threading.Thread(target=everywhere, args=(forged(),)).start(); " + ZEROS,
        FRAMES,
    ),
    Attack("prints that it passed", "print('PASSED 100 of 100'); " + ZEROS),
    Attack("prints a result", 'import sys; sys.stdout.write(\'{"score": 100, "max_score": 100}\'); ' + ZEROS),
    Attack("noise on every descriptor", "everywhere(os.urandom(5000)); " + ZEROS, FRAMES),
    Attack("knows that it is graded", "import sys\nif sys.flags.isolated: return weights\nraise ValueError"),
    Attack(
        "names of the results forged",
        "everywhere(forged(values=['l', ['d', ['result', ['f', 'nan']]]])); " + ZEROS,
        FRAMES,
    ),
]
MALFORMED = [
    Attack("an array of objects on the wire", "everywhere(forged(arrays=[['|O', [1]]])); " + ZEROS, FRAMES),
    Attack("a negative shape", "everywhere(forged(arrays=[['float64', [-1, -8]]])); " + ZEROS, FRAMES),
    Attack("a shape of 10^30", "everywhere(forged(arrays=[['float64', [10**30]]])); " + ZEROS, FRAMES),
    Attack(
        "a huge and empty shape", "everywhere(forged(arrays=[['float64', [10**30, 0]]])); " + ZEROS, FRAMES
    ),
    Attack("100,000 brackets", "everywhere(frame(b'[' * 100_000)); " + ZEROS, FRAMES),
    Attack("4 GB follow", "everywhere(struct.pack('>IQ', 2**32 - 1, 2**32)); " + ZEROS, FRAMES),
    Attack("a body of 2^60", "everywhere(struct.pack('>IQ', 2, 2**60) + b'{}'); " + ZEROS, FRAMES),
    Attack(
        "a byte now and then", "import time\nfor _ in range(200): everywhere(b'\\0'); time.sleep(0.1)", FRAMES
    ),
    Attack("not JSON", "everywhere(frame(b'{kind: result}')); " + ZEROS, FRAMES),
    Attack("not UTF-8", "everywhere(frame(b'\\xff\\xfe')); " + ZEROS, FRAMES),
    Attack("not a number", 'everywhere(frame(b\'{"kind": NaN, "arrays": []}\')); ' + ZEROS, FRAMES),
    Attack("a list for a message", "everywhere(frame([1, 2])); " + ZEROS, FRAMES),
    Attack("nothing, often", "everywhere(bytes(12) * 500); " + ZEROS, FRAMES),
    Attack(
        "a name of the grader's", "everywhere(forged(values=['l', ['n', 'os:system']])); " + ZEROS, FRAMES
    ),
    Attack(
        "an object of the grader's",
        "everywhere(forged(values=['l', ['o', 'os:system', ['d']]])); " + ZEROS,
        FRAMES,
    ),
    Attack("a case that is no number", "everywhere(forged(case=True)); " + ZEROS, FRAMES),
    Attack("arrays that are missing", "everywhere(forged(values=['l', ['a', 99]])); " + ZEROS, FRAMES),
    Attack("an integer of 10^400", "everywhere(forged(values=['l', 10**400])); " + ZEROS, FRAMES),
    Attack("a float of text", "everywhere(forged(values=['l', ['f', '1e999999']])); " + ZEROS, FRAMES),
]
NO_ARRAYS = [
    Attack(
        "equal to everything",
        "return Equal(weights.shape)",
        """
        class Equal(np.ndarray):
            def __eq__(self, other): return np.ones(self.shape, bool)
            __ne__ = __lt__ = __sub__ = lambda self, other: np.zeros(self.shape)
            def __array_ufunc__(self, *a, **b): return np.ones(self.shape, bool)
            def __array_function__(self, *a, **b): return True
        TOP = 0""",
    ),
    Attack(
        "an object that is equal",
        "return Equal()",
        """
        class Equal:
            def __eq__(self, other): return True
            def __getattr__(self, name): return self
            def __call__(self, *a, **b): return self
        TOP = 0""",
    ),
    Attack(
        "claims to be an array",
        "return Claim()",
        """
        class Claim:
            __class__ = np.ndarray
            dtype, shape = np.dtype(float), (5, 7)
        TOP = 0""",
    ),
    Attack(
        "becomes an array when asked",
        "return Lazy()",
        """
        class Lazy:
            def __array__(self, *a, **b): raise SystemExit(0)
        TOP = 0""",
    ),
    Attack(
        "a float that is everything",
        "return Number(1)",
        """
        class Number(np.float64):
            __sub__ = __rsub__ = __lt__ = lambda self, other: 0.0
        TOP = 0""",
    ),
    Attack(
        "objects in an array", "return np.array([object()] * weights.size, object).reshape(weights.shape)"
    ),
    Attack("80 GB", "return np.broadcast_to(0.0, (10**5, 10**5))"),
    Attack("a terabyte of zeros", "return np.zeros((2**20, 2**17))"),
    Attack("60 MB of zeros", "return np.zeros(2**23)"),
    Attack("nothing", "return None"),
    Attack("text", "return 'right'"),
    Attack("a mask over all", "return np.ma.masked_all_like(weights)"),
    Attack("a matrix", "return np.matrix(weights.reshape(-1, weights.shape[-1]) * 0)"),
    Attack("a generator", "return (x for x in weights)"),
    Attack("complex numbers", "return weights * 1j"),
    Attack("a list of itself", "x = []; x.append(x); return x"),
    Attack("fields instead of numbers", "return np.zeros(weights.shape, [('x', float)])"),
    Attack("dates", "return np.zeros(weights.shape, 'datetime64[s]')"),
    Attack(
        "a tuple that counts forever",
        "return Forever()",
        """
        class Forever(tuple):
            def __iter__(self):
                while True: yield 0
        TOP = 0""",
    ),
]
WORTHLESS = [
    Attack("NaN", "return np.full_like(weights, np.nan)"),
    Attack("infinity", "return np.full_like(weights, np.inf)"),
    Attack("zeros", ZEROS),
    Attack("ones", "return np.ones_like(weights)"),
    Attack("what it was given", "return d_weights"),
    Attack("the weights", "return weights"),
    Attack("inputs overwritten", "d_weights[:] = 0; weights[:] = 0; return weights"),
    Attack("the answer before", "LAST.append(weights.copy()); return LAST[0]", "LAST = []\nTOP = 0"),
    Attack("bytes of NaN", "return np.frombuffer(b'\\xff' * weights.nbytes).reshape(weights.shape)"),
]
HANG = [
    Attack("a loop", "while True: pass"),
    Attack("a loop at import", ZEROS, "def forever():\n    while True: pass\nTOP = forever()"),
    Attack("sleeps", "import time; time.sleep(1000)"),
    Attack(
        "deaf to signals",
        """
        import signal
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        10 ** 10 ** 9""",
    ),
    Attack("stops itself", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"),
    Attack("recursion", "return softmax_backward(d_weights, weights)"),
    Attack(
        "recursion past the stack",
        "import sys; sys.setrecursionlimit(10**9); return softmax_backward(d_weights, weights)",
    ),
    Attack(
        "asks forever",
        """
        from step01_numpy.softmax import softmax
        while True:
            try: softmax(weights)
            except Exception: pass""",
    ),
    Attack("waits for standard input", "import sys; sys.stdin.read(); input(); " + ZEROS),
    Attack(
        "reads every descriptor",
        "import os\nfor i in range(3, 20):\n    try: os.read(i, 100)\n    except OSError: pass\n" + ZEROS,
    ),
]
MULTIPLY = [
    Attack("a fork", "import os, time\nif os.fork() == 0: time.sleep(987654)\n" + ZEROS),
    Attack("forks that grade", "import os\nif os.fork() == 0: everywhere(forged())\n" + ZEROS, FRAMES),
    Attack("a fork bomb", "import os\nwhile True: os.fork()"),
    Attack(
        "a daemon",
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(987654)
            os._exit(0)
        return weights""",
    ),
    Attack(
        "leaves its group",
        """
        import ctypes, os, signal, time
        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        for step in (os.setsid, os.setpgrp):
            try: step()
            except OSError: pass
        for number in (1, 2, 13, 15): signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 64)
        time.sleep(987654)""",
    ),
    Attack(
        "threads without end",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(987654,)).start()",
    ),
    Attack("another program", "import subprocess; subprocess.Popen(['sleep', '987654']); " + ZEROS),
    Attack(
        "a pool of processes", "import multiprocessing; multiprocessing.Pool(4).map(abs, range(4)); " + ZEROS
    ),
    Attack("memory without end", "x = []\nwhile True: x.append(np.ones(2**24))"),
    Attack("memory in one piece", "x = bytearray(2**40); " + ZEROS),
]
LOOK = [
    Attack(
        "the grader's memory",
        """
        import os, re
        memory = open(f"/proc/{os.getppid()}/mem", "rb")
        for line in open(f"/proc/{os.getppid()}/maps"):
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            memory.seek(start); memory.read(end - start)""",
    ),
    Attack("the grader's surroundings", "import os; open(f'/proc/{os.getppid()}/environ').read(); " + ZEROS),
    Attack(
        "stops the grader with ptrace",
        "import ctypes, os; ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0); " + ZEROS,
    ),
    Attack(
        "all arrays in memory",
        """
        import gc
        for x in gc.get_objects():
            if isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], np.ndarray): return x[0]
        return weights""",
    ),
    Attack(
        "its callers' variables",
        """
        import sys
        frame = sys._getframe()
        while frame:
            for x in frame.f_locals.values():
                if isinstance(x, np.ndarray) and x is not weights and x is not d_weights: return x
            frame = frame.f_back
        return weights""",
    ),
    Attack(
        "the reference by its path",
        """
        scope = {}
        text = open(f"{ROOT}/step01_numpy/softmax.py").read()
        exec(text, scope)
        return scope["softmax_backward"](d_weights, weights, axis)""",
    ),
    Attack(
        "the project on the path",
        """
        import sys
        for name in [x for x in sys.modules if x.startswith("step01_numpy")]: del sys.modules[name]
        sys.meta_path[:] = [x for x in sys.meta_path if "Path" in str(x)]
        sys.path.insert(0, ROOT)
        from step01_numpy.softmax import softmax_backward
        return softmax_backward(d_weights, weights, axis)""",
    ),
    Attack(
        "the grader on the path",
        """
        import sys
        sys.path.insert(0, ROOT)
        from tests.homework.table import TASKS
        return weights""",
    ),
    Attack(
        "torch from its folder",
        """
        import os, sys
        sys.path.append(os.path.dirname(os.path.dirname(np.__file__)))
        import torch
        x = torch.tensor(np.log(weights), requires_grad=True)
        torch.softmax(x, axis).backward(torch.tensor(d_weights))
        return x.grad.numpy()""",
    ),
    Attack(
        "scipy from its folder",
        """
        import os, sys
        sys.path.append(os.path.dirname(os.path.dirname(np.__file__)))
        import scipy.special
        return scipy.special.softmax(weights)""",
    ),
    Attack(
        "looks for the project everywhere",
        """
        import os
        for folder, _, files in os.walk("/"):
            if "softmax.py" in files and "step01_numpy" in folder:
                scope = {}
                exec(open(f"{folder}/softmax.py").read(), scope)
                return scope["softmax_backward"](d_weights, weights, axis)
        return weights""",
    ),
    Attack(
        "the project by another link",
        """
        import os
        os.symlink(ROOT, f"{TARGET}/homework_attack")
        return weights""",
    ),
]
OUT = [
    Attack("a file in the target", "open(f'{TARGET}/homework_attack', 'w').write('x'); " + ZEROS),
    Attack("the grades overwritten", "open(f'{TARGET}/grades', 'w').write('100'); " + ZEROS),
    Attack("the grades removed", "import os; os.remove(f'{TARGET}/grades'); " + ZEROS),
    Attack(
        "the grades renamed",
        "import os; os.rename(f'{TARGET}/grades', f'{TARGET}/homework_attack'); " + ZEROS,
    ),
    Attack("a folder in the target", "import os; os.mkdir(f'{TARGET}/homework_attack'); " + ZEROS),
    Attack("a pipe in the target", "import os; os.mkfifo(f'{TARGET}/homework_attack'); " + ZEROS),
    Attack("a file in /tmp", "open('/tmp/homework_attack', 'w').write('x'); " + ZEROS),
    Attack("a file in /dev/shm", "open('/dev/shm/homework_attack', 'w').write('x'); " + ZEROS),
    Attack("a file where it works", "open('homework_attack', 'w').write('x'); " + ZEROS),
    Attack("a file in the project", "open(f'{ROOT}/homework_attack', 'w').write('x'); " + ZEROS),
    Attack("NumPy changed", "open(np.__file__, 'a').write('x = 1'); " + ZEROS),
    Attack(
        "shared memory",
        "from multiprocessing.shared_memory import SharedMemory; SharedMemory('homework_attack', True, 99); "
        + ZEROS,
    ),
    Attack(
        "its folder opened to all",
        "import os; os.chmod('.', 0o777); open('homework_attack', 'w').write('x'); " + ZEROS,
    ),
    Attack(
        "a connection", "import socket; socket.create_connection(('127.0.0.1', PORT), 1).send(b'x'); " + ZEROS
    ),
    Attack(
        "a datagram",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)); "
        + ZEROS,
    ),
    Attack("a signal to the grader", "import os; os.kill(os.getppid(), 9); " + ZEROS),
    Attack("a signal to the group", "import os; os.killpg(0, 15); " + ZEROS),
    Attack("a signal to all", "import os; os.kill(-1, 9); " + ZEROS),
    Attack("the grader by its number", "import os; os.kill(GRADER, 9); " + ZEROS),
    Attack(
        "root again", "import os; os.setresuid(0, 0, 0); open(f'{TARGET}/homework_attack', 'w'); " + ZEROS
    ),
    Attack("sudo", "import os; os.execvp('sudo', ['sudo', '-n', 'touch', f'{TARGET}/homework_attack'])"),
    Attack("limits raised", "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (-1, -1)); " + ZEROS),
    Attack(
        "mounts",
        "import ctypes; ctypes.CDLL(None).mount(b'none', TARGET.encode(), b'tmpfs', 0, None); " + ZEROS,
    ),
    Attack("new namespaces", "import ctypes; ctypes.CDLL(None).unshare(0x10000000 | 0x20000); " + ZEROS),
]
SERVED = [
    Attack(
        "asks for its own task",
        "return _ask_grader('softmax:softmax_backward', (d_weights, weights), {})",
        "from step01_numpy import softmax as _m\n_ask_grader = None\nTOP = 0",
    ),
    *(
        Attack(
            f"asks for {name}",
            f"import sys\nask = vars(sys.modules['step01_numpy.softmax'])['_ask_grader']\nreturn ask({target!r}, {args}, {{}})",
        )
        for name, target, args in [
            ("its own task behind the back", "softmax:softmax_backward", "(d_weights, weights)"),
            ("another task's gradient", "attention:attention_backward", "(d_weights,) * 6"),
            ("the shell", "os:system", "('touch /tmp/homework_attack',)"),
            ("eval", "builtins:eval", "('1',)"),
            ("the table of tasks", "...tests.homework.table:TASKS", "()"),
            ("an attribute of a function", "softmax:softmax.__globals__", "()"),
            ("an argument that is none", "argument:0", "()"),
            ("a mask of 10^24", "masks:causal_mask", "(10**12, 10**12)"),
            ("a target that is no text", 7, "()"),
            ("a target of a megabyte", "x" * 2**20, "()"),
        ]
    ),
]
REPORT = [
    Attack("escape codes", "raise ValueError('\\x1b[2J\\x1b]0;title\\x07 100 points')"),
    Attack("a formula for spreadsheets", 'raise ValueError(\'=HYPERLINK("http://x","100")\')'),
    Attack("a script", "raise ValueError('<script>alert(1)</script>')"),
    Attack("a message of a megabyte", "raise ValueError('x' * 2**20)"),
    Attack(
        "an exception that raises",
        "raise Worse",
        "class Worse(Exception):\n    def __str__(self): raise SystemExit(0)\nTOP = 0",
    ),
    Attack("a kind with a long name", "raise type('E' * 10**6, (Exception,), {})('x')"),
    Attack("prints 100 MB", "for _ in range(100): print('x' * 2**20)\n" + ZEROS),
    Attack(
        "prints 100 MB by the descriptor",
        "import os\nfor _ in range(100): os.write(1, b'x' * 2**20)\n" + ZEROS,
    ),
    Attack("prints control codes", "print('\\x1b[2J\\x00\\x07' * 50); " + ZEROS),
]
ATTACKS = [
    *EARLY, *LIES, *MALFORMED, *NO_ARRAYS, *WORTHLESS, *HANG, *MULTIPLY, *LOOK, *OUT, *SERVED, *REPORT
]  # fmt: skip
