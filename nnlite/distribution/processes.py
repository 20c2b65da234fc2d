"""The processes that train together, their shares of a batch, and their messages.

Every collective call is non-blocking underneath: it is started, and then tested until it is done
or the time limit is over. A blocking call would wait for ever for a process that has ended or taken
another branch.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from nnlite.utils.plain_data import decoded, encoded
from nnlite.utils.typing import Array

_SPINS = 50  # tests of a call before the first pause; within a machine it is done by then
_PAUSE = 5e-5  # seconds
_NOTE = 7  # the tag of the notes of waiting processes


class Processes:
    """This process alone, or all processes that train together.

    Args:
        comm: A communicator of mpi4py; None for this process alone.
        timeout: The seconds to wait for the others in a call.

    Attributes:
        share: The share of the batch of the current step.
    """

    def __init__(self, comm: Any = None, timeout: float = 600.0) -> None:
        self.comm = comm
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()
        self.timeout = timeout
        self.share: Share | None = None
        self._calls = 0
        self.waited = 0.0  # seconds in calls so far

    def ends(self, count: int) -> list[int]:
        """Return where the shares of ``count`` items begin, and where the last one ends."""
        return [count * rank // self.size for rank in range(self.size + 1)]

    def sum(self, array: Array, what: str) -> None:
        """Replace a contiguous array by the sum over all processes, with the same bits in all."""
        from mpi4py import MPI

        self._wait(self.comm.Iallreduce(MPI.IN_PLACE, array, MPI.SUM), what)

    def average(self, array: Array, what: str) -> None:
        """Replace the mean over this process's rows of a batch by the mean over all rows."""
        if self.size > 1:
            array *= 1 / self.size if self.share is None else self.share.weight
            self.sum(array, what)

    def copy_from_first(self, array: Array, what: str) -> None:
        """Replace a contiguous array by process 0's."""
        self._wait(self.comm.Ibcast(array, 0), what)

    def exchange(self, array: Array, ends: list[int], what: str) -> None:
        """Fill a contiguous array's rows ``ends[r]`` to ``ends[r + 1]`` with process r's."""
        if self.size > 1:
            from mpi4py import MPI

            at = np.multiply(ends, array[0].nbytes)
            place = [array.reshape(-1).view(np.uint8), np.diff(at).tolist(), at[:-1].tolist()]
            self._wait(self.comm.Iallgatherv(MPI.IN_PLACE, [*place, MPI.BYTE]), what)

    def gather(self, thing: Any, what: str) -> list[Any]:
        """Return a value of each process, in order: numbers, text, arrays, and nests of them.

        Raises:
            NotPlainError: If the value is anything else.
        """
        if self.size == 1:
            return [thing]
        own = _as_bytes(thing)
        sizes = np.empty(self.size, np.int64)
        self._wait(self.comm.Iallgather(np.array([len(own)], np.int64), sizes), what)
        found = np.empty(int(sizes.sum()), np.uint8)
        self._wait(self.comm.Iallgatherv(own, [found, sizes.tolist()]), what)
        return [_from_bytes(part) for part in np.split(found, np.cumsum(sizes)[:-1])]

    def broadcast(self, thing: Any, what: str) -> Any:
        """Return the value of process 0."""
        return self.gather(None if self.rank else thing, what)[0]

    def check_alike(self, what: str, own: Mapping[str, Any]) -> None:
        """Raise a ValueError in all processes if one of them differs from process 0."""
        every = self.gather(dict(own), what)
        for rank, other in enumerate(every):
            for name, value in every[0].items():
                if other.get(name) != value:
                    raise ValueError(
                        f"All processes must call {what} alike. Process 0 has {name}={value}, "
                        f"process {rank} of {self.size} has {name}={other.get(name)}"
                    )

    def _wait(self, request: Any, what: str) -> None:
        """Wait until a call is done, at most for the time limit."""
        self._calls += 1
        began, looks, told = time.perf_counter(), 0, False
        while not request.Test():
            looks += 1
            if looks < _SPINS:
                os.sched_yield() if hasattr(os, "sched_yield") else time.sleep(0)
                continue
            time.sleep(_PAUSE)
            waiting = time.perf_counter() - began
            if not told and waiting > self.timeout / 2:
                told = True
                self._tell(what)
            if waiting > self.timeout:
                raise TimeoutError(self._who_is_missing(what))
        self.waited += time.perf_counter() - began

    def _tell(self, what: str) -> None:
        """Tell all others where this process waits."""
        self._note = _as_bytes((self._calls, what))  # kept until it is sent
        self._sent = [
            self.comm.Isend(self._note, dest=rank, tag=_NOTE)
            for rank in range(self.size)
            if rank != self.rank
        ]

    def _who_is_missing(self, what: str) -> str:
        elsewhere = {rank: "has not come" for rank in range(self.size) if rank != self.rank}
        status = _status()
        while self.comm.Iprobe(tag=_NOTE, status=status):
            note = np.empty(status.Get_count(), np.uint8)
            self.comm.Recv(note, source=status.Get_source(), tag=_NOTE)
            call, where = _from_bytes(note)
            if (call, where) == (self._calls, what):
                elsewhere.pop(status.Get_source(), None)
            elif call >= self._calls:
                elsewhere[status.Get_source()] = f"waits elsewhere, in {where}"
        missing = ", ".join(f"process {rank} {why}" for rank, why in elsewhere.items())
        return (
            f"Process {self.rank} of {self.size} has waited {self.timeout:g} s for the others to "
            f"{what}: {missing or 'all have come, but the call does not end'}. Every process must "
            "make the same calls of fit, evaluate and predict. If one may take longer, give "
            "DataParallel(timeout=...) more seconds."
        )


def _as_bytes(thing: Any) -> Array:
    """Return plain data as bytes, without code."""
    arrays: list[Array] = []
    import json  # here, as training in one process does not need it

    text = json.dumps(encoded(thing, arrays))
    with io.BytesIO() as file:
        np.savez(file, np.array(text), *arrays)
        return np.frombuffer(file.getvalue(), np.uint8)


def _from_bytes(part: Array) -> Any:
    with np.load(io.BytesIO(part.tobytes()), allow_pickle=False) as found:
        text, *arrays = [found[name] for name in found.files]
    import json

    return decoded(json.loads(text.item()), arrays)


def _status() -> Any:
    from mpi4py import MPI

    return MPI.Status()


class Share:
    """The rows of a batch for one process; the numbers of rows differ by one at most.

    If there are fewer rows than processes, one without a row computes on a row of another with the
    weight 0, so that it takes part in every call.

    >>> group = Processes()
    >>> group.rank, group.size = 1, 3
    >>> Share(8, group).rows, Share(8, group).weight
    (slice(2, 5, None), 0.375)
    >>> Share(1, group).rows, Share(1, group).weight
    (slice(0, 1, None), 0.0)
    """

    def __init__(self, rows: int, group: Processes) -> None:
        self.group = group
        ends = group.ends(rows)
        self.counts = np.diff(ends).tolist()
        own = self.counts[group.rank]
        start = ends[group.rank]  # one of the rows, even if own is 0
        self.rows = slice(start, start + max(1, own))
        self.weight = own / rows

    def of(self, batch: Any) -> Any:
        """Return the share of an array or of each array in a list; None stays None."""
        if isinstance(batch, list):
            return [self.of(one) for one in batch]
        return None if batch is None else batch[self.rows]

    def whole(self, part: Any, what: str = "gather the outputs") -> Any:
        """Return the whole batch, from the shares of all processes."""
        if isinstance(part, list):
            return [self.whole(one, what) for one in part]
        if part is None:
            return None
        found = np.empty((sum(self.counts), *part.shape[1:]), part.dtype)
        own = np.ascontiguousarray(part[: self.counts[self.group.rank]])
        entries = part[0].size
        counts = [count * entries for count in self.counts]
        kind = (np.uint8, found.view(np.uint8)) if part.dtype == bool else (part.dtype, found)
        request = self.group.comm.Iallgatherv(own.view(kind[0]), [kind[1], counts])
        self.group._wait(request, what)
        return found


_SINGLE = Processes()
_current: ContextVar[Processes] = ContextVar("_current", default=_SINGLE)


def current() -> Processes:
    """Return the processes that this thread trains with, as set by `set_distribution`.

    Other threads of the program train alone and do not wait for other processes.
    """
    return _current.get()


def set_current(group: Processes | None) -> None:
    """Make this thread a member of ``group``; None for training alone."""
    _current.set(_SINGLE if group is None else group)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let this process compute alone inside of a ``with`` block, as its callbacks do."""
    token = _current.set(_SINGLE)
    try:
        yield
    finally:
        _current.reset(token)


def weight_in_step() -> float:
    """Return this process's fraction of the current batch; 1 if it trains alone."""
    share = current().share
    return 1.0 if share is None else share.weight
