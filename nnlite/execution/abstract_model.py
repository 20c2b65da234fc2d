"""AbstractModel: the part of a model that the packages below `nnlite.models` use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from nnlite.backend.variables import WeightVector
from nnlite.data.epochs import Epochs
from nnlite.execution.graph import Graph
from nnlite.layers.layer import Layer, Shapes
from nnlite.losses import Loss
from nnlite.metrics import Mean, Metric
from nnlite.metrics.compiled import CompiledMetrics
from nnlite.optimizers import Optimizer
from nnlite.symbolic import KerasTensor, Node

__all__ = ["AbstractModel", "Run"]


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


class Adapter(Protocol):
    """The shape and type of a model's data: see `nnlite.training.data_adapter`."""

    def ends(self) -> tuple[Any, Any]:
        """Return the names of the inputs and outputs, in the same structures."""

    def input_types(self) -> list[np.dtype[Any]]:
        """Return the type of each input's arrays."""

    def packed(self, x: Any) -> Any:
        """Return a batch of inputs in the structure that `call` takes."""


class Step(Protocol):
    """The steps of a model: see `nnlite.training.train_step`."""

    objective: Any  # an `Objective`, or None before the first run
    vector: WeightVector | None

    def take(self, x: Any, y: Any, weight: Any) -> dict[str, Any] | None:
        """Take one step; return the result of a user's `train_step`, or None."""

    def evaluate(self, x: Any, y: Any, weight: Any) -> dict[str, Any] | None:
        """Evaluate one batch; return the result of a user's `test_step`, or None."""

    def lay_out(self) -> None:
        """Gather the trainable weights in the model's vector, with the optimizer's state."""


class Run(Protocol):
    """A call of `fit`: see `nnlite.training.fit_loop`."""

    model: AbstractModel
    batches: Epochs
    callbacks: list[Any]
    epoch: int
    end: int
    step: int
    ends_on_nan: bool

    @property
    def mean(self) -> Mean:
        """The mean loss of the batches of the epoch so far."""


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

    #: The columns of the frame that the model was trained on.
    column_names: tuple[str, ...] | None

    #: The arguments of `compile`, and those in a file that this version does not know.
    compile_arguments: dict[str, Any]
    unread: dict[str, Any]

    # The optimizer is None before `compile`, which a callback need not consider: hence ``Any``.
    optimizer: Optimizer | Any
    loss: Loss | list[Any] | dict[str, Any] | None
    lock: Lock
    fit_loop: Run | None
    compiled_metrics: CompiledMetrics
    steps_per_execution: int
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _data: Adapter
    _step: Step

    # Defined by `nnlite.training.trainer`.
    compile: Callable[..., None]
    fit: Callable[..., Any]
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]
    train_on_batch: Callable[..., Any]
    test_on_batch: Callable[..., Any]
    predict_on_batch: Callable[[Any], Any]
    train_step: Callable[[Any], dict[str, Any]]
    test_step: Callable[[Any], dict[str, Any]]
    predict_step: Callable[[Any], Any]
    get_metrics_result: Callable[[], dict[str, Any]]
    reset_metrics: Callable[[], None]
    get_compile_config: Callable[[], dict[str, Any]]
    compile_from_config: Callable[[dict[str, Any]], None]
    _set_aside: Callable[[], dict[str, Any]]

    _input_shape: Shapes = None

    # Defined by `nnlite.Model`.
    save: Callable[..., None]
    save_weights: Callable[..., None]
    load_weights: Callable[..., None]
    export: Callable[..., None]
    to_json: Callable[..., str]
    summary: Callable[..., None]
    get_layer: Callable[..., Layer]
    calls: Callable[[], list[Node]]
    attributes: Callable[[], dict[str, list[Layer]]]
    graph: Callable[[bool], Graph]
    final_activation: Callable[[], Layer | None]
    input_structure: Callable[[], Any]
    output_structure: Callable[[], Any]
    declared_input_shape: Callable[[], Shapes]
    step_penalty: Callable[[], float]
    activity_penalty: Callable[[Any], float]
    _follow_attributes: Callable[[], None]

    @property
    def _tracked(self) -> dict[str, Metric]:
        """The metrics that are attributes of the model, by the attributes' names."""
        tracked: dict[str, Metric] | None = self.__dict__.get("tracked_metrics")
        if tracked is None:
            tracked = self.__dict__["tracked_metrics"] = {}
        return tracked

    @property
    def metrics(self) -> list[Metric]:
        """All metrics; see `nnlite.Model.metrics`."""
        raise NotImplementedError

    @property
    def metrics_names(self) -> list[str]:
        """The names of the results; see `nnlite.Model.metrics_names`."""
        raise NotImplementedError

    @property
    def output_shape(self) -> Shapes:
        """The shape of the output; see `nnlite.Model.output_shape`."""
        raise NotImplementedError

    @property
    def compiled(self) -> bool:
        """Whether the model has an optimizer."""
        raise NotImplementedError

    @property
    def layers(self) -> list[Layer]:
        """The model's layers."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors that stand for the inputs; see `nnlite.Model.inputs`."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[KerasTensor]:
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
