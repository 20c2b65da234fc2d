"""The processes that train together, the share of each in a batch, and what they tell each other.

Every call that all of them take part in is non-blocking underneath: it is asked for, and then
looked at until it is done or the time limit is over. A blocking call would wait for ever for a
process that has ended or gone another way.
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
from numpy.typing import NDArray

from nnlite.utils.plain_data import decoded, encoded

__all__ = ["Processes", "Share", "alone", "current", "set_current", "weight_in_step"]

Array = NDArray[Any]

_SPINS = 50  # looks at a call before the first pause: one within a machine is done by then
_PAUSE = 5e-5  # seconds
_NOTE = 7  # the tag of the notes of those who wait


class Processes:
    """This process, or all that train together.

    Args:
        comm: A communicator of mpi4py's; None is this process by itself.
        timeout: Seconds to wait for the others in a call.

    Attributes:
        share: The share in the batch whose step is being taken.
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
        """Return where the shares of ``count`` things begin, and where the last one ends."""
        return [count * rank // self.size for rank in range(self.size + 1)]

    def sum(self, array: Array, what: str) -> None:
        """Replace a contiguous array by the sum of those of all processes: the same bits in all.

        Args:
            array: The array.
            what: What it is, for the error.

        Raises:
            TimeoutError: If a process does not come to the call within the time limit.
        """
        from mpi4py import MPI

        self._wait(self.comm.Iallreduce(MPI.IN_PLACE, array, MPI.SUM), what)

    def average(self, array: Array, what: str) -> None:
        """Replace the mean over this process's rows of a batch by that over all rows."""
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
        """Return what each process gives, in their order: numbers, text, arrays, and nests of them.

        Raises:
            NotPlainError: If it is anything else.
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
        """Return what process 0 gives."""
        return self.gather(None if self.rank else thing, what)[0]

    def check_alike(self, what: str, own: Mapping[str, Any]) -> None:
        """Raise a ValueError, in all processes, if one is about to do another thing than process 0.

        Args:
            what: What they are about to do.
            own: By name, what must be equal.
        """
        every = self.gather(dict(own), what)
        for rank, other in enumerate(every):
            for name, value in every[0].items():
                if other.get(name) != value:
                    raise ValueError(
                        f"All processes must call {what} alike. Process 0 has {name}={value}, "
                        f"process {rank} of {self.size} has {name}={other.get(name)}"
                    )

    def _wait(self, request: Any, what: str) -> None:
        """Wait until a call is done.

        Raises:
            TimeoutError: If it is not within the time limit; it says who has not come.
        """
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
        """Tell all others where this one waits."""
        self._note = _as_bytes((self._calls, what))  # which has to stay until it is sent
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
            "make the same calls of fit, evaluate and predict. Where one may take longer, give "
            "DataParallel(timeout=...) more seconds."
        )


def _as_bytes(thing: Any) -> Array:
    """Return plain data as bytes that hold nothing that can run."""
    arrays: list[Array] = []
    import json  # here: whoever trains in one process does not pay for it

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
    """The rows of a batch that fall to a process; the numbers of rows differ by one at most.

    Where there are fewer rows than processes, one without a row computes on a row of another's
    with the weight 0: so it takes part in every call, whatever the layers are.

    Args:
        rows: The number of rows of the batch.
        group: The processes.

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
        start = ends[group.rank]  # which is one of the rows, also where own is 0
        self.rows = slice(start, start + max(1, own))
        self.weight = own / rows

    def of(self, batch: Any) -> Any:
        """Return the share of an array, or of each in a list; None stays None."""
        if isinstance(batch, list):
            return [self.of(one) for one in batch]
        return None if batch is None else batch[self.rows]

    def whole(self, part: Any, what: str = "gather the outputs") -> Any:
        """Return the whole batch of what each process has for its share."""
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
    """Return the processes that this thread trains with: one, unless `set_distribution` said more.

    Other threads of the program are by themselves: no call of theirs waits for other processes.
    """
    return _current.get()


def set_current(group: Processes | None) -> None:
    """Make this thread one of ``group``; None is by itself."""
    _current.set(_SINGLE if group is None else group)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within it, this process computes by itself, as its callbacks do."""
    token = _current.set(_SINGLE)
    try:
        yield
    finally:
        _current.reset(token)


def weight_in_step() -> float:
    """Return what part of the batch of the step is this process's, 1 where it is alone."""
    share = current().share
    return 1.0 if share is None else share.weight
