"""Ranks for tests: processes that are started once, and then run one function after another together."""

import contextlib
import faulthandler
import multiprocessing
import os
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path

MUTANT = "ATTENTION_MUTANT"  # the mutant's name, for the processes that are started while it is applied
IMPORTED = ["tests.devices.cases", "tests.mutants.runner", "tests.mutants.tables"]  # once, for all ranks
TIMEOUT = 60  # s that a rank waits for the others, and we for its answer


class Ranks:
    """
    n processes in one gloo group, which find each other through a file: tests side by side do not meet.

    A server, which this process starts once, has imported all that they need and forks them; it knows of no
    mutant.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n):
        self.folder, self.number = tempfile.TemporaryDirectory(), 0
        store, server = Path(self.folder.name) / "store", multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(IMPORTED)
        pipes = [server.Pipe() for _ in range(n)]
        self.pipes, mutant = [ours for ours, _ in pipes], os.environ.get(MUTANT)
        self.processes = [
            server.Process(target=_serve, args=(rank, n, str(store), theirs, mutant), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()

    def run(self, function, *arguments):
        """Call a function of a module on all ranks and return their results; a rank's error is raised."""
        results = self.outcomes(function, *arguments)
        for rank, result in enumerate(results):
            if isinstance(result, BaseException):
                raise AssertionError(f"rank {rank}: {result!r}\n{result.traceback}")
        return results

    def outcomes(self, function, *arguments):
        """Call a function on all ranks and return their results, an exception where one was raised."""
        self.number += 1
        for pipe in self.pipes:
            pipe.send((self.number, function, arguments))
        return [self._answer(rank) for rank in range(len(self.pipes))]

    def close(self):
        """End the processes; nothing is lost, so they need not be asked."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
        self.folder.cleanup()

    def _answer(self, rank):
        pipe, number = self.pipes[rank], None
        while number != self.number:  # an answer to an earlier question may still be in the pipe
            if not pipe.poll(TIMEOUT + 10):
                raise AssertionError(f"rank {rank} does not answer")
            number, result, trace = pipe.recv()
        if trace is not None:
            result.traceback = trace
        return result


def _serve(rank, n, store, pipe, mutant):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    options = {"rank": rank, "world_size": n, "timeout": timedelta(seconds=TIMEOUT)}
    dist.init_process_group("gloo", store=dist.FileStore(store, n), **options)
    with _mutated(mutant):
        while True:
            number, function, arguments = pipe.recv()
            faulthandler.dump_traceback_later(TIMEOUT)  # says where a rank hangs
            try:
                pipe.send((number, function(*arguments), None))
            except Exception as error:  # told to whoever asked
                pipe.send((number, error, traceback.format_exc()))
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _mutated(name):
    """Apply the mutant that is being tested: it lives in the code of one process, and this is another."""
    if name is None:
        yield
        return
    from tests.mutants.runner import applied
    from tests.mutants.tables import MUTANTS

    with applied(next(x for x in MUTANTS if x.name == name)):
        yield
