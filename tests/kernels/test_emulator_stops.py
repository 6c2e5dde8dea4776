"""A kernel that faults or does not end is stopped, named with thread and line, and Python lives on."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from step03_gpu.emulator import EmulatorError, RawModule
from step03_gpu.emulator.cache import cache_folder
from tests.kernels.test_emulator_faults import line_of

KERNELS = r"""
#include <cassert>
#line 101 "stops.cu"
#define KERNEL extern "C" __global__ void
#define LAST (threadIdx.x == 33)
__device__ int deeper(int n, volatile int* y) {
    volatile int local[100];
    local[n % 100] = y[0];
    return n == -1 ? 0 : deeper(n + 1, y) + local[n % 100];  // recursion
}
KERNEL right(int* y, int* none, int n) { y[threadIdx.x] = 1; }
KERNEL null_write(int* y, int* none, int n) {
    if (LAST) none[0] = 1;  // null_write
}
KERNEL null_read(int* y, int* none, int n) {
    if (LAST) y[0] = none[n];  // null_read
}
KERNEL wild(int* y, int* none, int n) {
    if (LAST) y[1l << 44] = 1;  // wild
}
KERNEL wilder(int* y, int* none, int n) {
    if (LAST) *reinterpret_cast<int*>(0xdeadbeef00000000 + n) = 1;  // wilder
}
KERNEL division(int* y, int* none, int n) {
    y[threadIdx.x] = n / (33 - int(threadIdx.x));  // division
}
KERNEL remainder_by_zero(int* y, int* none, int n) {
    if (LAST) y[threadIdx.x] %= n - n;  // remainder_by_zero
}
KERNEL recursion(int* y, int* none, int n) {
    if (LAST) y[0] = deeper(n, y);
}
KERNEL large_array(int* y, int* none, int n) {
    if (!LAST) return;
    volatile char local[400000];
    local[n] = 1;  // large_array
}
KERNEL failed_assert(int* y, int* none, int n) { assert(!LAST); }
KERNEL null_copy(int* y, int* none, int n) {
    if (LAST) memcpy(y, none, n * 4);
}
KERNEL endless(int* y, int* none, int n) {
    if (threadIdx.x < 33) return;
    y[63] = 1;
    while (*(volatile int*)y == 0) continue;  // endless
}
KERNEL endless_barriers(int* y, int* none, int n) {
    y[63] = 1;
    while (true)
        __syncthreads();  // endless_barriers
}
KERNEL endless_text(int* y, int* none, int n) {
    y[63] = 1;
    while (true) if (printf("%s", "")) y[0] += n;
}
KERNEL no_arguments() { __shared__ int x; x = 1; }
KERNEL two_arrays(int* y, int* none, int n) {
    __shared__ int first[5000];
    if (n) first[0] = 1;
    if (n == 7) return;
    __shared__ char second[29153];  // two_arrays
    y[0] = first[0] + sizeof second;
}
"""
LINES = KERNELS[KERNELS.index("\n#line") :]
NAMES = re.findall(r"^KERNEL (\w+)", KERNELS, re.MULTILINE)
ENDLESS = [name for name in NAMES if "endless" in name]
FAULTS = {
    "null_write": "uses the null pointer",
    "null_read": "uses the null pointer",
    "wild": "uses an address that is none",
    "wilder": "uses an address that is none",
    "division": "divides an integer by zero",
    "remainder_by_zero": "(divides an integer by zero|does what has no meaning)",
    "recursion": "has a stack of 256 KiB, and needs more",
    "large_array": "has a stack of 256 KiB, and needs more",
    "failed_assert": "calls abort, as a failed assert does",
    "null_copy": "uses the null pointer",
}

# In the C library, or in nothing but a trap.
UNNAMED_LINES = ("failed_assert", "null_copy", "remainder_by_zero")


def kernel(name, **options):
    return RawModule(code=KERNELS, name_expressions=NAMES, **options).get_function(name)


def run(kernel, n=7, y=None, **options):
    y = np.zeros(64, np.int32) if y is None else y
    kernel((2,), (64,), (y, None, np.int32(n)), **options)
    return y


def assert_runs_on(**options):
    assert (run(kernel("right", **options)) == 1).all()


@pytest.mark.parametrize(
    "checked",
    [pytest.param(False, id="unchecked"), pytest.param(True, marks=pytest.mark.proof, id="checked")],
)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_an_error_that_names_thread_and_line(name, checked):
    thread = r"\d+" if checked and name == "large_array" else 33  # any touches it on the way in
    place = rf"{name}, block \(0, 0, 0\), thread \({thread}, 0, 0\)"
    if checked or name not in UNNAMED_LINES:
        place += r", stops\.cu:(\d+)"
    with pytest.raises(EmulatorError, match=f"{place}: {FAULTS[name]}") as caught:
        run(kernel(name, checked=checked))
    assert checked or "run with checked=True" in str(caught.value)
    if (found := re.search(r"stops\.cu:(\d+)", str(caught.value))) and f"// {name}\n" in KERNELS:
        assert abs(int(found[1]) - line_of(LINES, name)) <= 3 * ("stack" in FAULTS[name])  # where it begins
    assert_runs_on()


@pytest.mark.parametrize("name", ENDLESS)
def test_a_kernel_that_runs_too_long(name):
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=rf"{name}.*: still runs after timeout=0\.05 s"):
        run(kernel(name, timeout=0.05))
    assert time.monotonic() - start >= 0.05
    assert_runs_on(timeout=60)


def test_a_timeout_stands_in_the_kernel_too():
    endless = kernel("endless")
    endless.timeout = 0.05
    with pytest.raises(EmulatorError, match=r"still runs"):
        run(endless)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none(timeout):
    with pytest.raises(ValueError, match=r"timeout is .*, expected seconds above 0, or None"):
        RawModule(code=KERNELS, timeout=timeout)


LOOP = rf"stops\.cu:{line_of(LINES, 'endless')}"


@contextlib.contextmanager
def ctrl_c(y, times=1):
    """Press it when a kernel has begun, which writes to the end of y; it has 0.3 s of the CPU to stop."""

    def interrupt():
        end = time.monotonic() + 10
        while not y[63]:
            if time.monotonic() > end:
                return
            time.sleep(0.01)
        for n in range(times):
            pressed.append(n)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    pressed = []
    thread = threading.Thread(target=interrupt)
    start = time.process_time()
    thread.start()
    try:
        yield pressed
        assert time.process_time() - start < 0.3 + 0.1 * (times - 1)
    finally:
        thread.join()


@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c(name):
    endless, y = kernel(name, timeout=5), np.zeros(64, np.int32)
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c(y), pytest.raises(KeyboardInterrupt):
        run(endless, y=y)
    assert signal.getsignal(signal.SIGINT) is before
    assert_runs_on()


def test_ctrl_c_where_the_kernel_runs_in_another_thread():
    endless, y = kernel("endless", timeout=5), np.zeros(64, np.int32)
    raised, done = [], threading.Event()

    def work():
        try:
            run(endless, y=y)
        except BaseException as error:
            raised.append(error)
        done.set()

    with ctrl_c(y):
        threading.Thread(target=work).start()
        with pytest.raises(KeyboardInterrupt):
            done.wait()
        done.wait()
    assert re.match(rf"endless, block \(0, 0, 0\), thread .*{LOOP}: was stopped", str(raised[0]))


def test_a_handler_of_the_programs_own_comes_first():
    """It may want the kernel to end; asked a second time, the kernel stops."""
    heard, y = [], np.zeros(64, np.int32)
    endless = kernel("endless", timeout=5)
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with ctrl_c(y, times=2) as pressed:
            with pytest.raises(KeyboardInterrupt, match=rf"endless, .*{LOOP}: was stopped"):
                run(endless, y=y)
            assert len(pressed) == 2
        assert heard
        assert_runs_on()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.proof
def test_a_checked_kernel_is_stopped_too():
    endless = kernel("endless", checked=True, timeout=0.2)
    with pytest.raises(EmulatorError, match=r"endless: still runs after timeout=0\.2 s"):
        run(endless)
    endless.timeout = 5
    thread = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(endless)
    thread.join()


SCRIPT = """
import ctypes, faulthandler, os, sys, threading, time
from tests.kernels.test_emulator_stops import *
faulthandler.enable()
"""
ELSEWHERE = {
    "after a launch": "assert_runs_on(); ctypes.string_at(0)",
    "in another thread during one": "threading.Timer(0.2, ctypes.string_at, (0,)).start(); "
    "run(kernel('endless', timeout=5))",
}


def python(script, **options):
    path = {"PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))}
    return subprocess.Popen([sys.executable, "-c", SCRIPT + script], env=os.environ | path, **options)


@pytest.mark.proof
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_fault_that_is_no_kernels_ends_python_as_ever(where):
    """And with the report that its faulthandler gives."""
    kernel("endless")
    process = python(ELSEWHERE[where], stderr=subprocess.PIPE)
    assert b"Segmentation fault" in process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGSEGV


def alive(pid):
    """Say whether a process runs what lies in the cache."""
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith(str(cache_folder()))
    except OSError:
        return False


@pytest.mark.proof
@pytest.mark.skipif(not os.path.exists("/proc/self/exe"), reason="processes are looked up in Linux's /proc")
def test_a_checked_kernel_ends_with_its_python():
    kernel("endless", checked=True)
    process = python("run(kernel('endless', checked=True, timeout=60))")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (programs := [child for child in children.read_text().split() if alive(child)]):
        assert process.poll() is None
    process.kill()
    process.wait()
    end = time.monotonic() + 5
    while any(map(alive, programs)):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_a_kernel_without_arguments(checked):
    kernel("no_arguments", checked=checked)((2,), (1,), ())
    with pytest.raises(EmulatorError, match="no_arguments: 1 arguments came; the kernel takes 0"):
        kernel("no_arguments", checked=checked)((2,), (1,), (np.int32(1),))


def test_static_shared_memory_has_a_limit():
    two = kernel("two_arrays")
    run(two, n=7)  # the second is not reached
    with pytest.raises(EmulatorError, match=r"stops\.cu:\d+: with __shared__ second .* 49153 bytes; 49152"):
        run(two, n=1)
    with pytest.raises(EmulatorError, match=r"take 20000 bytes, beside 29153 of .*; 49152 are"):
        run(two, shared_mem=29153)
    run(two, shared_mem=29152)
    two.max_dynamic_shared_size_bytes = 227 * 1024
    run(two, shared_mem=227 * 1024 - 20000)
    with pytest.raises(EmulatorError, match=r"take 20000 bytes, beside 212449 of .*; 232448 are"):
        run(two, shared_mem=227 * 1024 - 19999)


def test_an_array_beyond_the_limit_does_not_compile():
    code = """template <int N> __global__ void f(int* y) {
        __shared__ float tile[N];
        y[0] = tile[0]; }"""
    with pytest.raises(EmulatorError, match="__shared__ tile is larger than 48 KiB"):
        RawModule(code=code, name_expressions=("f<12289>",)).get_function("f<12289>")
