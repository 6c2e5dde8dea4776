"""How blocks move between ranks: each sends to the next and receives from the one before."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
import torch.distributed as dist

from step03_gpu.devices.sequence import local_slices


class Arriving(NamedTuple):
    """A block on its way."""

    received: list
    works: list
    sent: list  # kept until it has left
    group: object

    def wait(self) -> list:
        """Return the block once it is there."""
        with patience(self.group):
            for work in self.works:
                work.wait()
        return self.received


class Ring(NamedTuple):
    """
    Who holds what, and who needs it.

    Attributes
    ----------
    group : ProcessGroup or None
    rank : int
        This process's, in the group.
    queries, keys : list of list of range
        For each rank, the positions of its chunks, as `sequence_chunks` gives them.
    left, right, offset
        Key j is visible to query i when i + offset - left <= j <= i + offset + right; None = no bound.
    """

    group: object
    rank: int
    queries: list[list[range]]
    keys: list[list[range]]
    left: int | None
    right: int | None
    offset: int

    def blocks(self, *block) -> Iterator:
        """Yield (owner, block) for each rank's block, one's own first; meanwhile the next one travels."""
        size = len(self.keys)
        for step in range(size):
            owner = (self.rank - step) % size
            last = step == size - 1
            arriving = None if last else self.pass_on(block, owner - 1)
            yield owner, block
            block = None if last else arriving.wait()

    def pass_on(self, block, next_owner: int) -> Arriving:
        """Begin to send a block to the next rank and to receive `next_owner`'s from the one before."""
        size = len(self.keys)
        if size == 1:
            return Arriving(block, [], block, self.group)
        length = sum(map(len, self.keys[next_owner % size]))
        received = [x.new_empty((*x.shape[:-2], length, x.shape[-1])) for x in block]
        sent = [x.contiguous() for x in block]
        operation = partial(dist.P2POp, group=self.group)
        sends = [operation(dist.isend, x, group_peer=(self.rank + 1) % size) for x in sent]
        receipts = [operation(dist.irecv, x, group_peer=(self.rank - 1) % size) for x in received]
        operations = [x for x in sends + receipts if x.tensor.numel()]  # nothing is sent of an empty block
        works = dist.batch_isend_irecv(operations) if operations else []
        return Arriving(received, works, sent, self.group)

    def pairs(self, owner: int) -> Iterator[tuple[slice, slice, int]]:
        """Yield rows, keys and offset wherever a chunk of queries may see keys in a chunk of `owner`."""
        queries, keys = self.queries[self.rank], self.keys[owner]
        if self.left is None and self.right is None:  # all is visible: the chunks need no telling apart
            queries, keys = ([range(sum(map(len, x)))] for x in (queries, keys))
        for rows, i in local_slices(queries):
            for columns, j in local_slices(keys):
                first, last = i.start + self.offset, i.stop - 1 + self.offset
                behind = self.right is not None and last + self.right < j.start
                before = self.left is not None and first - self.left >= j.stop
                if i and j and not behind and not before:
                    yield rows, columns, first - j.start


def rank_and_size(group=None) -> tuple[int, int]:
    """Return this process's rank in a group and the group's size; refuse where there is no group."""
    if not dist.is_initialized():
        raise ValueError("group is not there: expected torch.distributed's init_process_group to be called")
    rank = dist.get_rank(group)
    if rank < 0:
        raise ValueError("group does not hold this process; expected a group of which it is a member")
    return rank, dist.get_world_size(group)


def device_of_messages(device=None, group=None) -> torch.device:
    """
    Return where tensors lie that a group's ranks send each other.

    Parameters
    ----------
    device : torch.device or str, optional
        Where they are wanted. When not given: the current GPU under "nccl", the CPU under other backends.
    group : ProcessGroup, optional
    """
    by_gpus = "nccl" in dist.get_backend(group)
    if device is None:
        device = f"cuda:{torch.cuda.current_device()}" if by_gpus else "cpu"
    device = torch.device(device)
    if by_gpus and device.type == "cpu":
        raise ValueError("device is cpu; expected a GPU: the group's backend, nccl, sends from there alone")
    return device


@contextmanager
def patience(group=None) -> Iterator[None]:
    """
    Say who waited for the others where a message does not come within the group's timeout.

    For NCCL's messages the GPU waits, not Python, and no error comes of them here: once the timeout is over
    PyTorch ends the process, with a message of its own. With `TORCH_NCCL_BLOCKING_WAIT=1` in the environment
    before `init_process_group`, Python waits, and the error is raised as under gloo.
    """
    try:
        yield
    except RuntimeError as error:
        rank, size = rank_and_size(group)
        raise RuntimeError(
            f"rank {rank} of {size} waited in vain: another rank failed or stayed away ({error})"
        ) from error
