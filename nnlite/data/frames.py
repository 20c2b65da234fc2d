"""Columns of data frames, which are matched by name."""

from __future__ import annotations

from typing import Any


def column_names(value: Any) -> tuple[str, ...] | None:
    """Return the column names of a data frame, or None unless they are unique strings."""
    if len(getattr(value, "shape", ())) != 2 or not hasattr(value, "columns"):
        return None
    names = tuple(value.columns)
    named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return names if named else None


def in_order(name: str, value: Any, expected: tuple[str, ...] | None) -> Any:
    """Return ``value``, with the columns of a data frame in the order ``expected``."""
    names = column_names(value)
    if names is None or expected is None or names == expected:
        return value
    missing = [column for column in expected if column not in names]
    unknown = [column for column in names if column not in expected]
    if missing or unknown:
        what = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r} more"
        raise ValueError(
            f"{name} must have the columns that the model was trained on: {_listed(expected)}. "
            f"Received: {_listed(names)}, which {what}. For positions, pass {name}.to_numpy()."
        )
    return value[list(expected)]


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
