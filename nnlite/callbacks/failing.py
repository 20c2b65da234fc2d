"""What a callback does where it cannot write: it ends the run, or warns and lets it go on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["check_on_error", "going_on"]


def check_on_error(value: str) -> str:
    """Return ``value`` if it says what to do.

    Raises:
        ValueError: If it is neither ``"raise"`` nor ``"warn"``.
    """
    if value not in ("raise", "warn"):
        raise ValueError(f"on_error must be 'raise' or 'warn'. Received: on_error={value!r}")
    return value


@contextmanager
def going_on(on_error: str) -> Iterator[None]:
    """Let an OSError inside pass, or with ``"warn"`` make a warning of it.

    >>> import pytest
    >>> with pytest.warns(UserWarning, match="Training goes on"), going_on("warn"):
    ...     raise OSError(28, "No space left on device", "best.keras")
    """
    try:
        yield
    except OSError as error:
        if on_error == "raise":
            raise
        warnings.warn(f"{error}. Training goes on; the last good file stays.", stacklevel=4)
