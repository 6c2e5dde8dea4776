"""Work shared between threads ends, and gives back what it took, whatever happens meanwhile."""

import os
import platform
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread

import pytest
import threadpoolctl

import step01_numpy
from step01_numpy.common.support import host
from step01_numpy.engine import flash

PACKAGE = Path(step01_numpy.__file__).parent
START = """
    import os, threading, time, warnings
    import numpy as np, threadpoolctl
    from step01_numpy import FLASH

    def blas():
        return {x["num_threads"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"}

    x = np.random.default_rng(0).normal(size=(8, 700, 32)).astype(np.float32)
    threadpoolctl.threadpool_limits(2, user_api="blas")
    expected = FLASH.forward(x, x, x)[0].tobytes()

    def check():
        assert FLASH.forward(x, x, x)[0].tobytes() == expected
        assert blas() == {2}, blas()
"""


def python(code):
    """Run a program that knows `FLASH`, `x`, `blas()` and `check()`; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    program = textwrap.dedent(START) + textwrap.dedent(code)
    args = [sys.executable, "-c", program]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def n_threads():
    return [x["num_threads"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_attends_while_its_parent_does():
    """The child has none of the threads that were at work, and waits neither for them nor their limits."""
    code = """
    warnings.simplefilter("ignore")  # newer Pythons warn of what is tried here
    stop = threading.Event()

    def attend():
        while not stop.is_set():
            FLASH.forward(x, x, x)

    threading.Thread(target=attend).start()
    for _ in range(5):
        time.sleep(0.02)
        if not (child := os.fork()):
            check()
            os._exit(0)
        end = time.monotonic() + 20
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(child, 9)
            time.sleep(0.005)
        print(ended[1])
    stop.set()
    """
    assert python(code) == ["0"] * 5


def test_after_the_main_thread_and_at_the_interpreters_end():
    code = """
    import atexit

    def late():
        threading.main_thread().join()
        check()
        print("late")

    def last():
        check()
        print("last")

    threading.Thread(target=late).start()
    atexit.register(last)
    """
    assert python(code) == ["late", "last"]


@pytest.mark.usefixtures("threads")
def test_where_no_thread_can_be_started_the_calling_one_does_all(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(Thread, "start", refuse)
    done = []
    host.share(done.extend, list(range(9)))
    assert done == list(range(9))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("size", "expected"), [(64, {True}), (512, {True, False})])
def test_small_heads_are_left_to_the_calling_thread(monkeypatch, rng, size, expected):
    """Heads of 40 by 40 took two threads three times as long as one: each waits for the other's Python."""
    mains, attend, attend_backward = set(), flash._attend, flash._attend_backward

    def noting(function):
        def called(*args):
            mains.add(current_thread() is main_thread())
            time.sleep(0.01)  # let the other thread have a task, too
            return function(*args)

        return called

    monkeypatch.setattr(flash, "_attend", noting(attend))
    monkeypatch.setattr(flash, "_attend_backward", noting(attend_backward))
    q, k, v, d_out = rng.normal(size=(4, 9, size, 4))
    out, lse = flash.FLASH.forward(q, k, v)
    assert mains == expected
    mains.clear()
    flash.FLASH.backward(d_out, q, k, v, out, lse)
    assert mains == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the bounds are those of glibc's malloc")
def test_memory_that_was_freed_is_used_again():
    """Four arrays of 4 MB are 4,096 pages, which each call had anew from the system."""
    code = """
        import resource
        q, k, v, d_out = np.random.default_rng(0).normal(size=(4, 8, 2048, 64)).astype(np.float32)
        faults = [0]
        for _ in range(4):
            out, lse = FLASH.forward(q, k, v)
            FLASH.backward(d_out, q, k, v, out, lse)
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        print(faults[-1] - faults[-2])
    """
    assert int(python(code)[0]) < 500


@pytest.mark.usefixtures("threads")
def test_ctrl_c_waits_for_no_task():
    """Neither for those that nobody has taken yet, nor for those that other threads have at hand."""
    before, begun, go_on, ended = n_threads(), Event(), Event(), []

    def work(tasks):
        for task in tasks:
            if current_thread() is main_thread():
                begun.wait()
                raise KeyboardInterrupt  # as Python does, between two steps of the main thread
            begun.set()
            go_on.wait(15)
            ended.append(task)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        host.share(work, list(range(50)))
    assert time.monotonic() - start < 30
    go_on.set()
    host.share(lambda tasks: [None for _ in tasks], [1, 2, 3])
    while n_threads() != before and time.monotonic() - start < 30:
        time.sleep(0.01)
    assert n_threads() == before
    assert len(ended) <= 3


@pytest.mark.usefixtures("threads")
def test_an_error_in_any_thread_is_raised_and_no_other_task_begun():
    first, taken = Event(), []

    def work(tasks):
        for task in tasks:
            taken.append(task)
            if current_thread() is main_thread():
                first.wait(15)
            else:
                first.set()
                raise MemoryError("of a thread")

    before = n_threads()
    with pytest.raises(MemoryError, match="of a thread"):
        host.share(work, list(range(500)))
    assert len(taken) < 50
    assert n_threads() == before


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("first_out", [0, 1])
def test_limits_of_threads_that_overlap_end_with_the_last(first_out):
    """As two translations at once set them: each would give back what it found, and one found the other's."""
    before, inside, leave = n_threads(), [Event(), Event()], [Event(), Event()]

    def hold(i):
        with host.one_thread():
            inside[i].set()
            leave[i].wait(15)

    with ThreadPoolExecutor(2) as pool:
        held = []
        for i in range(2):
            held.append(pool.submit(hold, i))
            inside[i].wait(15)
        assert set(n_threads()) == {1}
        leave[first_out].set()
        held[first_out].result()
        assert set(n_threads()) == {1}
        leave[1 - first_out].set()
    assert n_threads() == before


def test_nobody_else_sets_limits():
    users = [path for path in PACKAGE.rglob("*.py") if "threadpool" in path.read_text()]
    assert users == [Path(host.__file__)]
