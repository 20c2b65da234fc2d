"""AbstractModel: what the rooms below the models know of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from nnlite.backend.variables import WeightVector
from nnlite.layers.layer import Layer

__all__ = ["AbstractModel"]


class AbstractModel(Layer):
    """A layer that is made of layers and can be trained: see `nnlite.Model`."""

    is_model = True

    #: Whether the layers that are attributes are the model's.
    tracks_layers: ClassVar[bool] = False

    #: The columns of the frame that the model was trained on.
    column_names: tuple[str, ...] | None

    #: What `compile` was given, and what a file says of it that is not known here.
    compile_arguments: dict[str, Any]
    unread: dict[str, Any]

    optimizer: Any
    loss: Any
    _vector: WeightVector | None

    compile: Callable[..., None]
    fit: Callable[..., Any]
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]
    save: Callable[..., None]
    get_compile_config: Callable[[], dict[str, Any]]
    compile_from_config: Callable[[dict[str, Any]], None]

    @property
    def compiled(self) -> bool:
        """Whether the model has an optimizer."""
        raise NotImplementedError

    @property
    def layers(self) -> list[Layer]:
        """The layers that the model is made of."""
        raise NotImplementedError

    def attributes(self) -> dict[str, list[Layer]]:
        """Return the layers that attributes of a subclass hold, by name."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that put out the outputs."""
        raise NotImplementedError
