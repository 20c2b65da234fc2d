"""Which methods a class outside the package overrides, and which of them it may not.

A method that is overridden and never called would give wrong numbers in silence: each is called,
or refused when the class is defined.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["depth", "overridden", "refuse_overrides", "require_derivative"]


def depth(cls: type, method: str) -> int:
    """Return how far up the order of base classes the one that defines ``method`` stands.

    >>> class A:
    ...     def run(self): ...
    >>> class B(A): ...
    >>> depth(A, "run"), depth(B, "run"), depth(B, "walk")
    (0, 1, 3)
    """
    order = cls.__mro__
    return next((i for i, base in enumerate(order) if method in vars(base)), len(order))


def overridden(cls: type, *methods: str) -> bool:
    """Return whether a class outside the package defines one of the methods for ``cls``.

    >>> from nnlite.layers import Dense
    >>> overridden(Dense, "forward", "backward")
    False
    """
    # A class of the package has no other ones above it: its definition is not to take long.
    return _is_foreign(cls) and any(
        at < len(cls.__mro__) and _is_foreign(cls.__mro__[at])
        for at in (depth(cls, method) for method in methods)
    )


def refuse_overrides(cls: type, refused: Mapping[str, str]) -> None:
    """Refuse a class outside the package that overrides what nnlite does not call.

    Args:
        cls: The class that is being defined.
        refused: For each such method, a sentence on what to define instead.
    """
    for method, instead in refused.items():
        if overridden(cls, method):
            raise TypeError(
                f"{cls.__name__} overrides {method}, which nnlite does not call: {instead}"
            )


def require_derivative(
    cls: type, base: type, function: str, derivative: str, signature: str
) -> None:
    """Refuse a class that overrides a function and inherits the derivative of the old one.

    Args:
        cls: The class that is being defined.
        base: The class whose own ``derivative`` is of no function: that of a direct subclass.
        function: The method that computes the function.
        derivative: The method that computes its derivative.
        signature: That method's arguments, for the message.
    """
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
