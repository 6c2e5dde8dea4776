"""What makes NumPy fast on the host: threads, a layout that BLAS likes, memory that is warm already."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Lock

import numpy as np
from threadpoolctl import ThreadpoolController

_BLAS = ThreadpoolController().select(user_api="blas")  # searching the process takes long: once
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
        allowed = max((library["num_threads"] for library in _BLAS.info()), default=os.cpu_count())
        n_threads = min(allowed, max(1, len(tasks)))
        for task in [*tasks, *[None] * n_threads]:
            queue.put(task)
        with _BLAS.limit(limits=1), ThreadPoolExecutor() as pool:
            others = [pool.submit(work, iter(queue.get, None)) for _ in range(n_threads - 1)]
            work(iter(queue.get, None))
    for other in others:
        other.result()


def columns(x: np.ndarray) -> np.ndarray:
    """
    Return the transpose of a matrix in the layout that BLAS reads fastest as the right factor of a product.

    Its rows are 16 numbers longer than they need be: rows that are 2^n bytes apart share cache lines.
    """
    transpose = np.empty((x.shape[1], len(x) + 16), x.dtype)[:, :-16]
    transpose[...] = x.T
    return transpose


def matmul(a: np.ndarray, b: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """Return the matrix a @ b in a buffer that is used again and again: new memory is slow at first."""
    shape = len(a), b.shape[1]
    return np.matmul(a, b, out=buffer[: shape[0] * shape[1]].reshape(shape))
