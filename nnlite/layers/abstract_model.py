"""AbstractModel: the part of a model that the packages below `nnlite.models` use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from nnlite.layers.layer import Layer, Shapes

__all__ = ["AbstractModel"]


class Lock(Protocol):
    """The lock of a model: see `nnlite.training.model_lock`."""

    def claim(self) -> None:
        """Begin a call that trains."""

    def release(self) -> None:
        """End a call that trains."""

    def acquire_read(self) -> None:
        """Begin to read the weights."""

    def release_read(self) -> None:
        """End reading."""

    def acquire_write(self) -> None:
        """Begin to change the weights."""

    def release_write(self) -> None:
        """End changing."""


class AbstractModel(Layer):
    """A layer that consists of layers and can be trained: see `nnlite.Model`."""

    is_model = True

    #: Whether layers assigned to attributes belong to the model.
    tracks_layers: ClassVar[bool] = False

    #: Whether the model always has one input and one output.
    single_ended: ClassVar[bool] = False

    #: Whether a class outside of nnlite defines a part of a step, or `train_step`, `test_step`
    #: or `predict_step`, which is then called.
    computes_own: ClassVar[bool] = False
    trains_own: ClassVar[bool] = False
    tests_own: ClassVar[bool] = False
    predicts_own: ClassVar[bool] = False

    #: The generator of a model with a ``seed``; None for the global root.
    _seed_root: np.random.Generator | None = None

    #: The columns of the frame that the model was trained on.
    column_names: tuple[str, ...] | None

    #: The arguments of `compile`, and those in a file that this version does not know.
    compile_arguments: dict[str, Any]
    unread: dict[str, Any]

    optimizer: Any
    loss: Any
    lock: Lock
    fit_loop: Any  #: The running `FitLoop`, or None.
    compiled_metrics: Any
    steps_per_execution: int
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _data: Any  # a DataAdapter
    _step: Any  # a TrainStep

    compile: Callable[..., None]
    fit: Callable[..., Any]
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]
    train_step: Callable[[Any], dict[str, Any]]
    test_step: Callable[[Any], dict[str, Any]]
    predict_step: Callable[[Any], Any]
    get_metrics_result: Callable[[], dict[str, Any]]
    reset_metrics: Callable[[], None]
    save: Callable[..., None]
    get_compile_config: Callable[[], dict[str, Any]]
    compile_from_config: Callable[[dict[str, Any]], None]

    _input_shape: Shapes = None

    # Defined by `nnlite.Model`.
    attributes: Callable[[], dict[str, list[Layer]]]
    graph: Callable[[bool], Any]
    final_activation: Callable[[], Layer | None]
    input_structure: Callable[[], Any]
    output_structure: Callable[[], Any]
    declared_input_shape: Callable[[], Shapes]
    step_penalty: Callable[[], float]
    activity_penalty: Callable[[Any], float]
    _follow_attributes: Callable[[], None]

    @property
    def compiled(self) -> bool:
        """Whether the model has an optimizer."""
        raise NotImplementedError

    @property
    def layers(self) -> list[Layer]:
        """The model's layers."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[Any]:
        """The tensors that stand for the inputs; see `nnlite.Model.inputs`."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[Any]:
        """The tensors that stand for the outputs; see `nnlite.Model.outputs`."""
        raise NotImplementedError

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that compute the outputs."""
        raise NotImplementedError

    @property
    def input_dtypes(self) -> list[str]:
        """The type of each input's entries."""
        raise NotImplementedError
