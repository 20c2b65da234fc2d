"""What a reader has to say of a file: what it left out, and what it cannot do without."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnlite.serialization.objects import ConfigError

__all__ = ["LoadReport", "naming_file"]


_MOST_SAID = 50  # things that one warning names
_LONGEST = 300  # characters of each
_MOST_TEXT = 20_000  # characters of an error: some hundred layers are named


class LoadReport:
    """Collects what is met on the way through a file, to be said once, at the end.

    Attributes:
        version: The version of Keras that wrote the file, such as ``"2.15.0"``; empty if unknown.
        skipped: What training or predicting can do without.
        missing: What predicting cannot do without, each with its place in the model.
        faults: What else is wrong with the model.
        unread: Settings of `compile`, as the file has them, that training cannot do without.
        layers: How many layers were met so far.
        own: Whether nnlite wrote the model.
    """

    def __init__(self, version: Any = None) -> None:
        self.version = version if isinstance(version, str) else ""
        self.skipped: dict[str, None] = {}  # a set that keeps its order
        self.missing: list[str] = []
        self.faults: list[str] = []
        self.unread: dict[str, Any] = {}
        self.layers = 0
        self.own = False

    @property
    def older_than_3(self) -> bool:
        """Whether Keras 1 or 2 wrote the file."""
        return self.version.startswith(("1.", "2."))

    @property
    def fit_overrides(self) -> bool:
        """Whether `fit` and `predict` override ``training=`` in a call, as those of Keras 3 do."""
        return not (self.own or self.older_than_3)

    def skip(self, what: str) -> None:
        """Note something that is left out; the same thing only once."""
        self.skipped[_shortened(what, _LONGEST)] = None

    def refuse(self) -> None:
        """Raise a ValueError that names all that is missing or wrong, if anything is."""
        faults = _shortened("; ".join(self.faults), _MOST_TEXT)
        if self.missing:
            raise ValueError(
                f"the model needs what nnlite does not have: {self._named()}. If it is "
                "yours, pass it in custom_objects={'name': ...} or register it with "
                "@nnlite.saving.register_keras_serializable()."
                + (f" Besides, {faults}" if faults else "")
            )
        if faults:
            raise ValueError(faults)

    def _named(self) -> str:
        return _shortened("; ".join(_shortened(one, _LONGEST) for one in self.missing), _MOST_TEXT)

    def warn(self, file: str, stacklevel: int = 2) -> None:
        """Warn once of all that was skipped, if anything was; ``stacklevel`` as if it were here."""
        if self.skipped:
            more = f"; and {len(self.skipped) - _MOST_SAID} more" * (len(self.skipped) > _MOST_SAID)
            what = "; ".join([*self.skipped][:_MOST_SAID]) + more
            warnings.warn(f"{file}: read without this: {what}.", stacklevel=stacklevel + 1)


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """Make a ValueError that names the file of whatever its content causes inside.

    A TypeError stays one too. What the operating system has to say of the file itself stays an
    OSError.
    """
    try:
        yield
    except (OSError, Warning):
        raise
    except Exception as error:
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        text = text if text.startswith(file) else f"{file}: {text}"
        kind = ConfigError if isinstance(error, TypeError) else ValueError
        raise kind(_shortened(text, _MOST_TEXT + 1_000)) from error


def _shortened(text: str, most: int) -> str:
    """Return ``text``, which a file may make as long as it is itself, in ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
