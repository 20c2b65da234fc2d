"""Input: the shape and type of a model's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Layer, Shape, as_shape, registry, same_shape
from nnlite.symbolic import KerasTensor, Node
from nnlite.utils.validation import check_count

# The types of data that an Input accepts besides the float types.
_COUNTS = [
    np.dtype(bool),
    *(np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)),
]


@registry.register()
class InputLayer(Layer):
    """The input of a model: its shape and type. `Input` makes one and returns its tensor.

    Args:
        shape: The shape of one sample, such as ``(4,)``.
        batch_size: The number of samples of every batch, if it is fixed.
        dtype: The type of the data: ``"float32"``, ``"float64"``, an integer or boolean type, or
            ``"string"`` for text, for `StringLookup`, `Hashing` or `TextVectorization`.
        batch_shape: The shape with the batch axis first, instead of the first two.
        name: Its name.
        **kwargs: ``sparse``, ``ragged`` and ``optional``, which are False.

    Raises:
        TypeError: If a keyword is unknown.
        ValueError: If no shape is given, or it is not a shape, or ``dtype`` is not known.

    >>> InputLayer((4,))
    InputLayer(shape=(4,))
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {
        "sparse": False,
        "ragged": False,
        "optional": False,
    }

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        *,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        text = isinstance(dtype, (str, type)) and dtype in ("string", str)
        counted = isinstance(dtype, (str, type, np.dtype)) and not text and dtype in _COUNTS
        super().__init__(name=name, dtype=None if counted or text else dtype, **kwargs)
        self.data_type = "string" if text else np.dtype(dtype).name if counted else self.dtype
        if (shape is None) == (batch_shape is None) or None not in (batch_size, batch_shape):
            raise ValueError(
                "Input takes either shape=(features,) or batch_shape=(None, features). "
                f"Received: shape={shape!r}, batch_size={batch_size!r}, batch_shape={batch_shape!r}"
            )
        if batch_shape is not None:
            batch_size, *shape = as_shape("batch_shape", batch_shape, 1)
        self.shape = as_shape("shape", shape)
        self.batch_size = None if batch_size is None else check_count("batch_size", batch_size, 1)
        self.batch_shape: Shape = (self.batch_size, *self.shape)
        self.declared_shape = self.batch_shape

    @property
    def tensor(self) -> KerasTensor:
        """The tensor that stands for the input."""
        if not self.nodes:
            tensor = KerasTensor(self.batch_shape, self.data_type, self.name)
            self.nodes.append(Node(self, (), tensor))
        return self.nodes[0].outputs[0]

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return no stages: the output is the input."""
        return ()

    compute_output_shape = same_shape

    def get_config(self) -> dict[str, Any]:
        """Return the shape of a batch, the type of the data, and the name."""
        own = {"batch_shape": self.batch_shape, "dtype": self.data_type, "name": self.name}
        return {**self.fixed_config, **own}

    def _shown(self) -> dict[str, Any]:
        shown = super()._shown()
        shown.pop("batch_shape")
        return shown | ({} if self.data_type == self.dtype else {"dtype": self.data_type})


def Input(  # noqa: N802  the name that Keras users look for
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    *,
    batch_shape: Any = None,
    **kwargs: Any,
) -> KerasTensor:
    """Return a tensor that stands for a model's input.

    Layers called on it return further tensors, and `nnlite.Model` makes a model of them; as the
    first element of a `Sequential` it declares the input's shape.

    Args:
        shape: The shape of one sample, such as ``(4,)``.
        batch_size: The number of samples of every batch, if it is fixed.
        dtype: The type of the data; see `InputLayer`.
        name: The input's name.
        batch_shape: The shape with the batch axis first, instead of the first two.
        **kwargs: As for `InputLayer`.

    Raises:
        TypeError: If a keyword is unknown.
        ValueError: If no shape is given, or it is not a shape, or ``dtype`` is not known.

    >>> Input((4,), name="age")
    <KerasTensor shape=(None, 4), dtype=float32, name=age>
    """
    layer = InputLayer(shape, batch_size, dtype, batch_shape=batch_shape, name=name, **kwargs)
    return layer.tensor
