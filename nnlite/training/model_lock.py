"""A readers-writer lock: one thread trains a model, many predict."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

__all__ = ["ReadersWriterLock", "one_thread"]

P = ParamSpec("P")
R = TypeVar("R")

_PAUSE = 2e-5  # seconds between two looks at whether it is one's turn


class ReadersWriterLock:
    """Lets many threads read the weights of a model, and one at a time change them.

    A reader waits for the end of the training step that is being taken, and a step for the readers
    that are at work: so each prediction is one of weights as they are between two steps. To take a
    turn costs two operations on a deque, which Python does as one each.

    >>> lock = ReadersWriterLock()
    >>> lock.claim()
    >>> lock.claim()  # the same thread may
    """

    def __init__(self) -> None:
        self._training = threading.RLock()
        self._stepping: int | None = None  # the thread that changes weights now
        self._readers: deque[None] = deque()

    def claim(self) -> None:
        """Claim the model's training, its losses and metrics, for this thread, until `release`.

        Raises:
            RuntimeError: If another thread has.
        """
        if not self._training.acquire(blocking=False):
            raise RuntimeError(
                "Another thread trains or evaluates this model. One thread at a time can; any "
                "number may predict."
            )

    def release(self) -> None:
        """Give the claim up."""
        self._training.release()

    def acquire_read(self) -> None:
        """Wait for the end of a step, if one is being taken, and keep the next one waiting."""
        self._readers.append(None)
        while self._stepping is not None and self._stepping != threading.get_ident():
            self._readers.pop()
            time.sleep(_PAUSE)
            self._readers.append(None)

    def release_read(self) -> None:
        """Let a step begin."""
        self._readers.pop()

    def acquire_write(self) -> None:
        """Keep new readers waiting, and wait for those at work."""
        self._stepping = threading.get_ident()
        while self._readers:
            time.sleep(_PAUSE)

    def release_write(self) -> None:
        """Let readers begin."""
        self._stepping = None

    def __deepcopy__(self, memo: Any) -> ReadersWriterLock:
        return ReadersWriterLock()  # a copy of a model is one that nobody uses yet

    def __reduce__(self) -> Any:
        return (ReadersWriterLock, ())


def one_thread(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Make a method of a model one that a single thread at a time can be in.

    Where a callback calls it, the run that is under way finds itself as it was.
    """

    def claiming(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.lock.claim()
        kept = {} if self.fit_loop is None else self._set_aside()
        try:
            return method(self, *args, **kwargs)
        finally:
            if kept:
                vars(self).update(kept)
            self.lock.release()

    return functools.update_wrapper(claiming, method)
