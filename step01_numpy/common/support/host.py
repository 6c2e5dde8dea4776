"""All of the host's cores at once: work shared between threads, each with a BLAS of its own."""

import os
from collections.abc import Callable, Iterator
from concurrent import futures
from functools import cache
from queue import SimpleQueue
from threading import Lock

_ONE_AT_A_TIME = Lock()


def share(work: Callable[[Iterator], None], tasks: list) -> None:
    """
    Call `work(tasks)` on as many threads as BLAS would use; each takes the next task when it is free.

    NumPy lets go of the interpreter's lock while it computes, so the threads do run at the same time.

    Parameters
    ----------
    work : callable
        Goes through the tasks it is given. What comes out must not depend on which thread took which.
    tasks : list
        Large ones first, so that no thread is left with one at the end. None is no task.

    Notes
    -----
    BLAS is held to one thread meanwhile. That goes for the whole process, so calls from several threads wait
    for each other; each of them has all processors to itself.
    """
    queue = SimpleQueue()
    with _ONE_AT_A_TIME:
        allowed = max((library["num_threads"] for library in _blas().info()), default=os.cpu_count())
        n_threads = min(allowed, max(1, len(tasks)))
        for task in [*tasks, *[None] * n_threads]:
            queue.put(task)
        with _blas().limit(limits=1), futures.ThreadPoolExecutor() as pool:
            others = [pool.submit(work, iter(queue.get, None)) for _ in range(n_threads - 1)]
            work(iter(queue.get, None))
    for other in others:
        other.result()


@cache
def _blas():
    """Find NumPy's BLAS in the process: that takes long, so once, and not before it is needed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
