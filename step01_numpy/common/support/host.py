"""All of the host's cores at once: work shared between threads, each with a BLAS of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock, RLock, Thread

import numpy as np


def share(work: Callable[[Iterator], None], tasks: list, at_most: int | None = None) -> None:
    """
    Call `work(tasks)` on several threads; each takes the next task when it is free.

    NumPy lets go of the interpreter's lock while it computes, so the threads do run at the same time. Where
    no thread can be started, as when the interpreter is about to end, the calling one does it all.

    Parameters
    ----------
    work : callable
        Goes through the tasks it is given. What comes out must not depend on which thread took which.
    tasks : list
        Large ones first, so that no thread is left with one at the end.
    at_most : int, optional
        So many threads; by default, and in any case no more, as many as BLAS would use.

    Notes
    -----
    BLAS is held to one thread meanwhile. That goes for the whole process, so calls from several threads wait
    for each other; each of them has all processors to itself. An error of one thread lets no other take
    another task, and Ctrl-C does not even wait for those at hand: what they find goes nowhere.
    """
    keep_freed_memory()
    left, errors = iter(tasks), []  # one iterator for all threads

    def help_along():
        try:
            with _PROCESS.blas:
                work(left)
        except BaseException as error:  # whatever it is, the calling thread raises it
            errors.append(error)
            _exhaust(left)

    with _PROCESS.turn:
        n_threads = min(max(_n_threads(), default=os.cpu_count()), at_most or len(tasks), len(tasks))
        try:
            with _PROCESS.blas:
                helpers = _start(help_along, n_threads - 1)
                work(left)
            for helper in helpers:
                helper.join()
        finally:
            _exhaust(left)
    if errors:
        raise errors[0]


@cache
def keep_freed_memory() -> None:
    """
    Let the process keep up to 62 MB of what it frees, for arrays to come.

    New memory is slow at first: a page took 1.4 us, and 6 us while another thread computed. glibc gives back
    what lies free beyond twice the largest block, of at most 32 MB, that it had mapped and freed: this one.
    With other libraries nothing comes of it.
    """
    np.empty(31 << 20, np.uint8)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, and the OpenMP of this thread, to one thread: products may be too small to be shared."""
    from threadpoolctl import ThreadpoolController

    openmp = ThreadpoolController().select(user_api="openmp")  # a limit of all would give back BLAS's too
    with openmp.limit(limits=1), _PROCESS.blas:
        yield


def _start(target, n_threads) -> list:
    """Start so many threads, or as many as there can be."""
    started = []
    for _ in range(n_threads):
        thread = Thread(target=target, daemon=True)  # at the end nobody waits for what was interrupted
        try:
            thread.start()
        except RuntimeError:
            break
        started.append(thread)
    return started


def _exhaust(tasks) -> None:
    for _ in tasks:
        pass


class _OneThread:
    """BLAS held to one thread: from the first `with` to the end of the last, whichever thread's they are."""

    def __init__(self):
        self.changing, self._n_holders, self._before = RLock(), 0, None

    def __enter__(self):
        with self.changing:
            if not self._n_holders:
                self._before = _n_threads()
                _set_n_threads([1] * len(self._before))
            self._n_holders += 1

    def __exit__(self, *_):
        with self.changing:
            self._n_holders -= 1
            if not self._n_holders:
                self.release()

    def release(self) -> None:
        """Give BLAS back the threads that it had."""
        if self._before is not None:
            _set_n_threads(self._before)
            self._before = None


class _Process:
    """What goes for the whole process: whose turn it is, and how many threads BLAS has."""

    def __init__(self):
        self.turn, self.blas = Lock(), _OneThread()

    def before_fork(self) -> None:
        """Let no thread change BLAS meanwhile: it ends its own threads before a fork, and waits for them."""
        self.blas.changing.acquire()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self.blas.changing.release()

    def begin_anew(self) -> None:
        """In the child only the thread that forked is there: no other gives back what it holds."""
        self.blas.release()
        self.turn, self.blas = Lock(), _OneThread()


_PROCESS = _Process()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_PROCESS.before_fork,
        after_in_parent=_PROCESS.after_fork,
        after_in_child=_PROCESS.begin_anew,
    )


def _n_threads() -> list:
    return [library.num_threads for library in _blas().lib_controllers]


def _set_n_threads(numbers) -> None:
    """Set each library's threads; threadpoolctl 3.8 lets one thread alone do so until it is freed of that."""
    for library, number in zip(_blas().lib_controllers, numbers, strict=True):
        free = getattr(library, "clear_controlling_thread", lambda force: None)
        free(force=True)
        library.set_num_threads(number)
        free(force=True)


@cache
def _blas():
    """Find NumPy's BLAS in the process: that takes long, so once, and not before it is needed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
