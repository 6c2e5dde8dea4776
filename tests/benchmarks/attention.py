"""step01's attention, as FLASH computes it, against PyTorch's on the same CPU: (1, 8, 2048, 64), float32."""

import subprocess
import sys
import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.nn.functional import scaled_dot_product_attention as sdpa

import step01_numpy as step01
from tests.benchmarks.timing import Result, interleave

SHAPE = (1, 8, 2048, 64)
ROUNDS = 21

# The peak of a process, in KiB: VmHWM starts anew with each program, which getrusage's does not.
MEMORY_SCRIPT = """
import numpy as np, step01_numpy
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
q = np.ones((1, 1, 65536, 64), np.float32)
k, v = q.copy(), q.copy()
small = slice(0, 2048)
step01_numpy.FLASH.forward(q[:, :, small], k[:, :, small], v[:, :, small])
before = peak()
step01_numpy.FLASH.forward(q, k, v)
print(peak() - before)
"""


def arrays():
    """Return q, k, v and the upstream gradient, for NumPy and for PyTorch."""
    rng = np.random.default_rng(0)
    numpys = [rng.normal(size=SHAPE).astype(np.float32) for _ in range(4)]
    return numpys, [torch.from_numpy(x) for x in numpys]


def flash(causal: bool, clock=time.perf_counter) -> list[Result]:
    """Compare flash attention with SDPA: forward, then forward and backward."""
    (q, k, v, d_out), tensors = arrays()
    leaves, t_d_out = [x.clone().requires_grad_() for x in tensors[:3]], tensors[3]

    def ours():
        out, lse = step01.FLASH.forward(q, k, v, causal=causal)
        step01.FLASH.backward(d_out, q, k, v, out, lse, causal=causal)

    def theirs():
        for leaf in leaves:
            leaf.grad = None
        sdpa(*leaves, is_causal=causal).backward(t_d_out)

    forward = interleave(
        {
            "ours": lambda: step01.FLASH.forward(q, k, v, causal=causal),
            "theirs": lambda: sdpa(*tensors[:3], is_causal=causal),
        },
        ROUNDS,
        clock=clock,
    )
    both = interleave({"ours": ours, "theirs": theirs}, ROUNDS, clock=clock)
    kind = "causal" if causal else "full"
    return [
        Result(f"flash attention, forward, {kind}", "ms", forward["ours"], forward["theirs"], 1.0),
        Result(f"flash attention, forward + backward, {kind}", "ms", both["ours"], both["theirs"], 1.0),
    ]


def plain() -> Result:
    """Compare plain attention with the same expression in PyTorch, unfused."""
    (q, k, v, _), (tq, tk, tv, _) = arrays()

    def unfused():
        return torch.softmax(tq @ tk.transpose(-1, -2) / 8, dim=-1) @ tv

    times = interleave(
        {"ours": lambda: step01.scaled_dot_product_attention(q, k, v), "theirs": unfused}, ROUNDS
    )
    return Result("plain attention, forward", "ms", times["ours"], times["theirs"], 1.0)


def memory() -> Result:
    """Measure what flash attention adds to the peak resident memory at L = S = 65,536, in a fresh process."""
    out = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, text=True, check=True)
    return Result("flash attention, memory at L = 65,536", "MB", int(out.stdout) * 1024 / 1e6, None, 200)


def run() -> list[Result]:
    """Run all of it with two threads on either side."""
    torch.set_num_threads(2)

    return [*flash(False), *flash(True), plain(), memory()]


def run_alone() -> list[Result]:
    """Compare flash attention by the processor's time, one thread on either side: for a machine in use."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return [*flash(False, time.process_time), *flash(True, time.process_time)]
