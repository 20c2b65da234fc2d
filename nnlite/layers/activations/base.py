"""Base class of activations, and the registry of their names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from nnlite.layers.layer import Layer, same_shape
from nnlite.layers.layer import registry as layer_registry
from nnlite.serialization.registry import Registry
from nnlite.utils.overrides import require_derivative
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_returned

C = TypeVar("C", bound="type[Any]")


class ActivationLayer(Layer):
    """Base class of activations: ``apply`` computes the function, ``chain`` its derivative.

    Your own activation defines these two, and can then be a layer of a model or the
    ``activation`` of another layer. If the derivative needs x, and not only y = f(x), set
    ``needs_input = True``; otherwise f(x) may be written over x.
    ``nnlite.gradcheck.check_layer`` checks that the two agree.

    Args:
        **kwargs: As for `Layer`.

    >>> import numpy as np
    >>> class Square(ActivationLayer):
    ...     needs_input = True
    ...
    ...     def apply(self, x, out):
    ...         return np.multiply(x, x, out=out)
    ...
    ...     def chain(self, gradient, x, y, out):
    ...         np.multiply(gradient, x, out=out)
    ...         return np.add(out, out, out=out)
    >>> Square()(np.array([[-1.0, 3.0]]))
    array([[1., 9.]], dtype=float32)
    >>> from nnlite.layers import Dense
    >>> Dense(2, activation=Square)
    Dense(units=2, activation=Square())
    """

    supports_masking = True
    elementwise = True
    samplewise = True

    #: Whether `chain` reads x.
    needs_input = False

    #: The name of the function in Keras.
    function_name: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        require_derivative(cls, ActivationLayer, "apply", "chain", "self, gradient, x, y, out")

    def apply(self, x: Array, out: Array) -> Array:
        """Write f(x) into ``out``, which may be ``x`` itself, and return it."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply(x, out)")

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write ``gradient`` times f'(x) into ``out`` and return it; y is f(x)."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define chain(gradient, x, y, out)"
        )

    def forward_into(self, x: Array, y: Array) -> None:
        """Write f(x) into ``y``."""
        made = self.apply(x, y)
        if made is not y:  # by a user's class
            y[...] = as_returned(f"{type(self).__name__}.apply", made, y.shape, self.dtype)

    def backward_into(self, dy: Array, x: Array, y: Array, dx: Array) -> None:
        """Write ``dy`` times f'(x) into ``dx``."""
        made = self.chain(dy, x, y, dx)
        if made is not dx:
            dx[...] = as_returned(f"{type(self).__name__}.chain", made, dx.shape, self.dtype)

    def reads(self, name: str) -> bool:
        """Return whether `chain` reads ``"x"``; it may always read ``"y"``."""
        return name == "y" or self.needs_input

    compute_output_shape = same_shape


registry: Registry[Layer] = Registry("activation", Layer)


def activation(name: str, *aliases: str, **arguments: Any) -> Callable[[C], C]:
    """Return a class decorator that registers an activation, also as a layer.

    Args:
        name: The name of the function in Keras.
        *aliases: Further names.
        **arguments: The class's arguments for that function, if not its defaults.
    """

    def add(cls: C) -> C:
        cls.function_name = name
        make: Callable[..., Layer] = cls
        layer_registry.register()(cls)
        registry.register()(cls)
        for known in (name, *aliases):
            registry.add(known, functools.partial(make, **arguments))
        return cls

    return add
