"""Names for things: how ``"relu"`` or ``"adam"`` becomes an object, and an object a repr."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Configurable", "Registry", "snake_case"]

T = TypeVar("T")
C = TypeVar("C", bound="type[Any]")


def snake_case(name: str) -> str:
    """Return a class's name as Keras writes it in lower case.

    >>> snake_case("LeakyReLU"), snake_case("BinaryCrossEntropy")
    ('leaky_re_lu', 'binary_crossentropy')
    """
    name = name.replace("CrossEntropy", "Crossentropy")
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Configurable:
    """An object that is told by the arguments of its constructor.

    Every argument of ``__init__`` is kept in an attribute of the same name; from that follow the
    configuration, a copy made from it, and a ``repr`` that shows what differs from the defaults.
    """

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Return every constructor argument with its default, base classes' keywords included."""
        found: dict[str, Any] = {}
        for owner in cls.__mro__:
            if "__init__" not in vars(owner) or owner is object:
                continue
            kinds = inspect.signature(vars(owner)["__init__"]).parameters
            for name, parameter in kinds.items():
                if name != "self" and parameter.kind not in (
                    parameter.VAR_KEYWORD,
                    parameter.VAR_POSITIONAL,
                ):
                    found.setdefault(name, parameter.default)
            if not any(kind.kind is kind.VAR_KEYWORD for kind in kinds.values()):
                break
        return found

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name."""
        return {name: getattr(self, name) for name in self._parameters()}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """Make a new object from what ``get_config`` returned."""
        return cls(**config)

    @classmethod
    def default_name(cls) -> str:
        """Return what an object is called that was given no ``name``."""
        return snake_case(cls.__name__)

    def _shown(self) -> dict[str, Any]:
        """Return the arguments that differ from their defaults: what ``repr`` shows."""
        shown = {}
        for name, default in self._parameters().items():
            value = getattr(self, name)
            if isinstance(value, Configurable) and isinstance(default, str):
                same = default == snake_case(type(value).__name__) and not value._shown()
            elif name == "name" and default is None:
                same = value == self.default_name()
            else:
                same = isinstance(value, type(default)) and value == default
            if not same:
                shown[name] = value
        return shown

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"


class Registry(Generic[T]):
    """The named classes of one kind: its losses, its optimizers, its activations.

    A class is known by its own name, that name in snake case, and any alias.

    Args:
        kind: What one of them is called in an error, such as ``"loss"``.
        base: The class that all of them are subclasses of.
    """

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind = kind
        self.base = base
        self._makers: dict[str, Callable[..., T]] = {}

    def register(self, *aliases: str) -> Callable[[C], C]:
        """Return a class decorator that adds the class under its name and ``aliases``."""

        def add(cls: C) -> C:
            for name in (cls.__name__, snake_case(cls.__name__), *aliases):
                self.add(name, cls)
            return cls

        return add

    def add(self, name: str, maker: Callable[..., T]) -> None:
        """Add, under ``name``, a class or a function that makes an object."""
        self._makers[name] = maker

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def lookup(self, name: str, known: Iterable[str] = ()) -> Callable[..., T]:
        """Return what is registered under ``name``.

        Args:
            name: The name.
            known: The names to offer where it is unknown; by default all that are registered.

        Raises:
            ValueError: If nothing is; the message offers the nearest known name.
        """
        if name in self._makers:
            return self._makers[name]
        import difflib  # only an error needs it

        names = sorted({key for key in known or self._makers if key == key.lower()})
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"Unknown {self.kind}: {name!r}.{hint} Known names: {', '.join(names)}.")

    def get(self, identifier: Any) -> T:
        """Return an object for a name, a class, or an object that is one already.

        Raises:
            ValueError: If the name is unknown.
            TypeError: If ``identifier`` is of another kind.
        """
        if isinstance(identifier, str):
            return self.lookup(identifier)()
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if isinstance(identifier, self.base):
            return identifier
        raise TypeError(
            f"{self.kind} must be a name or an object of {self.base.__name__}. "
            f"Received: {identifier!r} (of type {type(identifier).__name__})"
        )
