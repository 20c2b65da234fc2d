"""A report on reading a file: what was left out and what is missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnlite.serialization.objects import ConfigError

_MOST_SAID = 50  # entries in one warning
_LONGEST = 300  # characters of each
_MOST_TEXT = 20_000  # characters of an error: it can name some hundred layers


class LoadReport:
    """Collects findings while a file is read, for one message at the end.

    Attributes:
        version: The version of Keras that wrote the file, such as ``"2.15.0"``; empty if unknown.
        skipped: Parts left out that are not essential.
        missing: Unknown parts that predicting needs, each with its place in the model.
        faults: Other errors in the model.
        unread: Unknown settings of `compile` that training needs, as the file has them.
        layers: The number of layers read so far.
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
        """Note something that is left out; duplicates are dropped."""
        self.skipped[_shortened(what, _LONGEST)] = None

    def refuse(self) -> None:
        """Raise a ValueError that names everything missing or wrong, if there is any."""
        faults = _shortened("; ".join(self.faults), _MOST_TEXT)
        if self.missing:
            raise ValueError(
                f"nnlite does not have these parts of the model: {self._named()}. If they are "
                "yours, pass them in custom_objects={'name': ...} or register them with "
                "@nnlite.saving.register_keras_serializable()."
                + (f" Besides, {faults}" if faults else "")
            )
        if faults:
            raise ValueError(faults)

    def _named(self) -> str:
        return _shortened("; ".join(_shortened(one, _LONGEST) for one in self.missing), _MOST_TEXT)

    def warn(self, file: str, stacklevel: int = 2) -> None:
        """Warn once about everything skipped; ``stacklevel`` counts as in `warnings.warn`."""
        if self.skipped:
            more = f"; and {len(self.skipped) - _MOST_SAID} more" * (len(self.skipped) > _MOST_SAID)
            what = "; ".join([*self.skipped][:_MOST_SAID]) + more
            warnings.warn(f"{file}: left out: {what}.", stacklevel=stacklevel + 1)


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """Turn errors that the file's content causes into a ValueError that names the file.

    From a TypeError comes an error that is both types. An OSError stays as it is.
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
    """Return ``text``, which may be as long as the file, cut to ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
