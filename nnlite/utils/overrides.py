"""Checks of the methods that user classes override.

An overridden method that is never called would silently give wrong numbers. Each override is
therefore used, or refused when the class is defined.
"""

from __future__ import annotations

from collections.abc import Mapping


def depth(cls: type, method: str) -> int:
    """Return the position in the MRO of the class that defines ``method``.

    >>> class A:
    ...     def run(self): ...
    >>> class B(A): ...
    >>> depth(A, "run"), depth(B, "run"), depth(B, "walk")
    (0, 1, 3)
    """
    order = cls.__mro__
    return next((i for i, base in enumerate(order) if method in vars(base)), len(order))


def overridden(cls: type, *methods: str) -> bool:
    """Return whether a user class defines one of the methods of ``cls``.

    >>> from nnlite.layers import Dense
    >>> overridden(Dense, "forward", "backward")
    False
    """
    # Fast path: nnlite classes have no user classes above them.
    return _is_foreign(cls) and any(
        at < len(cls.__mro__) and _is_foreign(cls.__mro__[at])
        for at in (depth(cls, method) for method in methods)
    )


def refuse_overrides(cls: type, refused: Mapping[str, str]) -> None:
    """Raise a TypeError if a user class overrides a method that nnlite does not call."""
    if not _is_foreign(cls):  # faster than a look at each method
        return
    for method, instead in refused.items():
        if overridden(cls, method):
            raise TypeError(
                f"{cls.__name__} overrides {method}, which nnlite does not call: {instead}"
            )


def require_derivative(
    cls: type, base: type, function: str, derivative: str, signature: str
) -> None:
    """Raise a TypeError if a class overrides a function but inherits its derivative."""
    shipped = next(i for i, owner in enumerate(cls.__mro__) if not _is_foreign(owner))
    at = min(depth(cls, derivative), shipped)
    if overridden(cls, function) and depth(cls, function) < at < cls.__mro__.index(base):
        raise TypeError(
            f"{cls.__name__} overrides {function} and inherits {derivative} from "
            f"{cls.__mro__[at].__name__}, so that training would follow the old gradient. Define "
            f"{derivative}({signature}) beside it; where the function is still the same, let it "
            f"return super().{derivative}({signature.removeprefix('self, ')})."
        )


def _is_foreign(cls: type) -> bool:
    return cls is not object and not f"{cls.__module__}.".startswith("nnlite.")
