"""Sharing work between threads: NumPy lets go of the interpreter's lock while it computes."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np  # noqa: F401  (its BLAS has to be loaded before it can be found)
from threadpoolctl import ThreadpoolController


def share(work: Callable[[Iterator], None], tasks: list) -> None:
    """
    Call `work(tasks)` on as many threads as BLAS would use; each takes the next task when it is free.

    Parameters
    ----------
    work : callable
        Goes through the tasks it is given. Results must not depend on which thread takes which task.
    tasks : list
        The largest first, so that no thread is left with a large one at the end. None is no task.
    """
    queue = SimpleQueue()
    with _ONE_BLAS_THREAD as n_threads, ThreadPoolExecutor() as pool:
        n_threads = min(n_threads, len(tasks))
        for task in [*tasks, *[None] * n_threads]:
            queue.put(task)
        others = [pool.submit(work, iter(queue.get, None)) for _ in range(n_threads - 1)]
        work(iter(queue.get, None))
    for other in others:
        other.result()


class _OneBlasThread:
    """Hold BLAS to one thread while any call runs: the threads are ours. `with` gives how many it had."""

    def __init__(self):
        self.blas = ThreadpoolController().select(user_api="blas")  # finding the library takes long: once
        self.lock, self.n_calls = threading.Lock(), 0

    def __enter__(self) -> int:
        with self.lock:
            if self.n_calls == 0:
                self.n_threads = max((x["num_threads"] for x in self.blas.info()), default=os.cpu_count())
                self.limit = self.blas.limit(limits=1)
            self.n_calls += 1
            return self.n_threads

    def __exit__(self, *_):
        with self.lock:
            self.n_calls -= 1
            if self.n_calls == 0:
                self.limit.restore_original_limits()


_ONE_BLAS_THREAD = _OneBlasThread()
