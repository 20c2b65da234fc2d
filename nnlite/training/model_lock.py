"""A readers-writer lock: one thread trains a model, many predict."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from nnlite.execution.abstract_model import AbstractModel

__all__ = ["ReadersWriterLock", "one_thread"]

M = TypeVar("M", bound=AbstractModel)
P = ParamSpec("P")
R = TypeVar("R")

_PAUSE = 2e-5  # seconds between two looks at the lock


class ReadersWriterLock:
    """Lets many threads read the weights of a model, and one at a time change them.

    A reader waits for the end of the current training step, and a step waits for active readers.
    Each prediction thus uses the weights between two steps. A read costs two operations on a
    deque, which are atomic in Python.

    >>> lock = ReadersWriterLock()
    >>> lock.claim()
    >>> lock.claim()  # the same thread may
    """

    def __init__(self) -> None:
        self._training = threading.RLock()
        self._stepping: int | None = None  # the thread that changes weights now
        self._readers: deque[None] = deque()

    def claim(self) -> None:
        """Claim the model's training, losses and metrics for this thread, until `release`.

        Raises:
            RuntimeError: If another thread holds the claim.
        """
        if not self._training.acquire(blocking=False):
            raise RuntimeError(
                "Another thread trains or evaluates this model. Only one thread at a time can; "
                "any number can predict."
            )

    def release(self) -> None:
        """Give the claim up."""
        self._training.release()

    def acquire_read(self) -> None:
        """Wait for the end of the current step, if any, and block the next one."""
        self._readers.append(None)
        while self._stepping is not None and self._stepping != threading.get_ident():
            self._readers.pop()
            time.sleep(_PAUSE)
            self._readers.append(None)

    def release_read(self) -> None:
        """Allow a step to begin."""
        self._readers.pop()

    def acquire_write(self) -> None:
        """Block new readers, and wait for the active ones."""
        self._stepping = threading.get_ident()
        while self._readers:
            time.sleep(_PAUSE)

    def release_write(self) -> None:
        """Allow readers to begin."""
        self._stepping = None

    def __deepcopy__(self, memo: dict[int, Any]) -> ReadersWriterLock:
        return ReadersWriterLock()  # nobody uses a copy of a model yet

    def __reduce__(self) -> Any:
        return (ReadersWriterLock, ())


def one_thread(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Decorate a method of a model so that one thread at a time can run it.

    A callback can call it without changing the current run.
    """

    def claiming(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.lock.claim()
        kept = {} if self.fit_loop is None else self._set_aside()
        try:
            return method(self, *args, **kwargs)
        finally:
            if kept:
                vars(self).update(kept)
            self.lock.release()

    return functools.update_wrapper(claiming, method)
