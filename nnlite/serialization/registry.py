"""Registries, which create objects from names, and configurable objects with a repr."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from nnlite.serialization.objects import (
    KINDS,
    PUBLIC,
    custom_object,
    get_registered_object,
    made_from,
    revived,
    serialize_keras_object,
    serialized_object,
)
from nnlite.utils.lazy import load
from nnlite.utils.validation import ArgumentError, ChecksArguments

T = TypeVar("T")
C = TypeVar("C", bound="type[Any]")


def snake_case(name: str) -> str:
    """Return a class name in snake case, as Keras writes it.

    >>> snake_case("LeakyReLU"), snake_case("BinaryCrossEntropy")
    ('leaky_re_lu', 'binary_crossentropy')
    """
    name = name.replace("CrossEntropy", "Crossentropy")
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Configurable(ChecksArguments):
    """Base class of objects that are defined by their constructor arguments.

    Attributes of the same names store the arguments, which give the configuration and a ``repr``
    with the arguments that differ from the defaults.
    """

    #: The name in files, if it differs from the class name.
    keras_name: ClassVar[str | None] = None

    #: Further entries of Keras's configuration, with the only supported values.
    fixed_config: ClassVar[Mapping[str, Any]] = {}

    #: The arguments that Keras's configuration omits if they are None.
    left_out_if_none: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Return every constructor argument with its default, base classes' keywords included."""
        found: dict[str, Any] = {}
        for owner in cls.__mro__:
            if "__init__" not in vars(owner) or owner is object:
                continue
            kinds = [*inspect.signature(vars(owner)["__init__"]).parameters.values()]
            for parameter in kinds[1:]:  # skip self
                if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    found.setdefault(parameter.name, parameter.default)
            if not any(kind.kind is kind.VAR_KEYWORD for kind in kinds):
                break
        return found

    @classmethod
    def _among(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the class's arguments out of ``locals()`` in a subclass's constructor."""
        return {name: given[name] for name in cls._parameters()}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as plain data in Keras's format.

        Raises:
            NotImplementedError: If an argument has no attribute of its name.
        """
        config = dict(self.fixed_config)
        for name in self._parameters():
            if hasattr(self, name):
                config[name] = serialize_keras_object(getattr(self, name))
            elif type(self).get_config.__module__.startswith("nnlite."):
                raise NotImplementedError(
                    f"{type(self).__name__} keeps no attribute {name!r}: keep each argument of "
                    "__init__ in an attribute of its name, or define get_config."
                )
        for name in self.left_out_if_none:
            if config.get(name, 0) is None:
                del config[name]
        return config

    @classmethod
    def from_config(cls: type[T], config: Mapping[str, Any]) -> T:
        """Create an object from the result of `get_config`.

        Raises:
            TypeError: If an entry is not a constructor argument.
            ValueError: If a value is not supported.
        """
        arguments = revived(config)
        for name, supported in cls.fixed_config.items():  # type: ignore[attr-defined]
            given = arguments.pop(name, supported)
            if given != supported:
                raise ValueError(
                    f"{cls.__name__} supports {name}={supported!r} only. Received: {given!r}"
                )
        return cls(**arguments)

    def serialized(self) -> dict[str, Any]:
        """Return the object as plain data: class name and configuration."""
        return serialized_object(self)

    @classmethod
    def default_name(cls) -> str:
        """Return the default ``name``."""
        return snake_case(cls.__name__)

    def __copy__(self: T) -> T:
        return copy.deepcopy(self)  # as in Keras, a copy does not share state

    def _shown(self) -> dict[str, Any]:
        """Return the arguments that differ from their defaults, for ``repr``."""
        shown = {}
        for name, default in self._parameters().items():
            value = getattr(self, name, default)
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
    """The classes of one kind by name, such as losses or optimizers.

    The names are the class name, its snake case, and aliases.

    Args:
        kind: The kind in messages, such as ``"loss"``.
        base: The common base class.
        module: The module in Keras, such as ``"keras.losses"``, or None.
        package: The package that imports the classes, if it does so on first use, or None.
    """

    def __init__(
        self, kind: str, base: type[T], module: str | None = None, package: str | None = None
    ) -> None:
        self.kind = kind
        self.base = base
        self.module = module
        self.package = package
        self._makers: dict[str, Callable[..., T]] = {}
        if module is not None:
            KINDS[module] = self

    def register(self, *aliases: str) -> Callable[[C], C]:
        """Return a class decorator that registers a class under its name and ``aliases``."""

        def add(cls: C) -> C:
            spelled = vars(cls).get("keras_name") or cls.__name__.replace(
                "CrossEntropy", "Crossentropy"
            )
            for name in (cls.__name__, spelled, snake_case(cls.__name__), *aliases):
                self.add(name, cls)
            if self.module is not None:
                PUBLIC[cls] = (self.module, spelled)
            return cls

        return add

    def add(self, name: str, maker: Callable[..., T]) -> None:
        """Register a class or a factory function under ``name``."""
        self._makers[name] = maker

    def __contains__(self, name: object) -> bool:
        if name not in self._makers:
            load(self.package)
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        load(self.package)
        return iter(self._makers)

    def lookup(self, name: str, known: Iterable[str] = ()) -> Callable[..., T]:
        """Return the object registered under ``name``.

        Args:
            name: The name.
            known: The names to suggest in the error; by default all registered names.
        """
        if name in self:
            return self._makers[name]
        import difflib  # needed for errors only

        names = sorted({key for key in known or self._makers if key == key.lower()})
        # A name in a file may be of any length.
        near = difflib.get_close_matches(name[:100].lower(), names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"Unknown {self.kind}: {name!r:.200}.{hint} Known names: {', '.join(names)}."
        )

    def get(self, identifier: Any) -> T:
        """Return an object for a name, a class, a configuration or an instance."""
        if isinstance(identifier, str):
            own = get_registered_object(identifier)
            return self.get(own) if own is not None else self.lookup(identifier)()
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier)
        raise ArgumentError(
            f"{self.kind} must be a name or an object of {self.base.__name__}. "
            f"Received: {identifier!r} (of type {type(identifier).__name__})"
        )

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> T:
        """Create an object from a configuration or a name."""
        if not isinstance(config, Mapping):
            with_custom = get_registered_object(config, custom_objects)
            return self.get(config if with_custom is None else with_custom)
        name = config.get("class_name")
        inner = (
            config.get("config", "") if name == "function" else ""
        )  # the configuration of a function is its name
        if not isinstance(name, str) or "config" not in config or not isinstance(inner, str):
            raise ValueError(
                f"A {self.kind} as data is {{'class_name': ..., 'config': ...}}. "
                f"Received: {config!r}"
            )
        own = custom_object(config, custom_objects)
        if own is not None:
            return self.get(made_from(own, config, custom_objects))
        if name == "function":
            return self.get(config["config"])
        name = name.rsplit(">", 1)[-1]  # "Custom>Adam", as in Keras 2.11 to 2.15
        return self.get(made_from(self.lookup(name), config, custom_objects))
