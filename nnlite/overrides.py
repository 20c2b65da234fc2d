"""Overrides that nothing would ever call: refused where the class is defined."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["refuse_overrides"]


def refuse_overrides(cls: type, instead: Mapping[str, str]) -> None:
    """Refuse a class from outside of nnlite that defines what nnlite does not call.

    Args:
        cls: The class, from ``__init_subclass__``; what it gets from mixins counts too.
        instead: Names of methods, and for each what to define instead.

    Raises:
        TypeError: If one of them is overridden; it says which, and what to define instead.

    >>> class Mine:
    ...     __module__ = "mine"
    ...     apply = print
    >>> refuse_overrides(Mine, {"apply": "define update_step"})
    Traceback (most recent call last):
        ...
    TypeError: Mine overrides apply, which nnlite does not call: define update_step
    """
    if cls.__module__.startswith("nnlite."):
        return
    for method, what in instead.items():
        owner = next((base for base in cls.__mro__ if method in vars(base)), object)
        if owner is not object and not owner.__module__.startswith("nnlite."):
            raise TypeError(
                f"{cls.__name__} overrides {method}, which nnlite does not call: {what}"
            )
