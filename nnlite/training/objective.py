"""What training minimises: the loss, joined with the model's last activation where they fit."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from nnlite.backend.structure_cache import structure
from nnlite.constraints import project
from nnlite.execution import Call, Graph, Memory, Plan, ReferenceExecutor, infer
from nnlite.layers.activations import ActivationLayer, Sigmoid, Softmax
from nnlite.layers.layer import Layer
from nnlite.losses import (
    BinaryCrossEntropy,
    BinaryFocalCrossEntropy,
    CategoricalCrossEntropy,
    CategoricalFocalCrossEntropy,
    Loss,
    MeanSquaredError,
    SparseCategoricalCrossEntropy,
)
from nnlite.losses.labels import form
from nnlite.training.prediction import Predictor
from nnlite.utils.user_code import penalty, penalty_gradient

__all__ = ["Objective", "default_loss"]

Array = NDArray[Any]

_PLANS = 4  # as many shapes of batches as there are in most runs: whole and last, of two kinds


def default_loss(
    activation: Layer | None, y: Array, output_shape: tuple[int, ...], crossentropy: bool = False
) -> Loss:
    """Return the loss that fits a model's last activation and the shape of its targets.

    Args:
        activation: The activation.
        y: The targets.
        output_shape: The shape of the predictions.
        crossentropy: Whether it is to be a cross-entropy, whatever the activation.
    """
    if crossentropy:
        forms = (BinaryCrossEntropy, SparseCategoricalCrossEntropy, CategoricalCrossEntropy)
        return forms[form(y.shape, output_shape)]()
    if isinstance(activation, Sigmoid):
        return BinaryCrossEntropy()
    if isinstance(activation, Softmax):
        distributions = y.shape == output_shape
        return CategoricalCrossEntropy() if distributions else SparseCategoricalCrossEntropy()
    return MeanSquaredError()


def from_logits(loss: Loss, activation: Layer | None) -> Loss | None:
    """Return ``loss`` as taken from the logits, where the activation is the one it belongs to.

    log(softmax(z)) and log(sigmoid(z)) are exact where the probability itself has rounded to 0
    or 1, and the derivative of the two together, p - y, is cheaper than of one after the other.
    """
    pairs = {
        Sigmoid: (BinaryCrossEntropy, BinaryFocalCrossEntropy),
        Softmax: (
            CategoricalCrossEntropy,
            CategoricalFocalCrossEntropy,
            SparseCategoricalCrossEntropy,
        ),
    }
    if type(loss) not in pairs.get(type(activation), ()):
        return None
    if getattr(loss, "from_logits", True) or loss.axis != getattr(activation, "axis", -1):
        return None
    joined: Any = copy.copy(loss)
    joined.from_logits = True
    return joined


def _last_activation(graph: Graph) -> Call | None:
    """Return the call of an activation that makes the graph's output, and nobody else reads."""
    (output,) = graph.outputs
    maker = graph.maker(output)
    if maker is None or graph.readers()[output] > 1:
        return None
    return maker if isinstance(maker.layer, ActivationLayer) else None


class Objective:
    """The loss of one model, and the way forward and back that belongs to it.

    Args:
        loss: The loss.
        model: The model that it is minimised for.
    """

    def __init__(self, loss: Loss, model: Predictor) -> None:
        self.loss = loss
        self.model = model
        self._settled = -1  # the structure that what follows is of
        self._plans: dict[Any, Plan] = {}
        self._memory = Memory()
        self._step: Plan | None = None  # that of the last step
        self.settle()

    def warn_of_mismatch(self, output_shape: tuple[Any, ...]) -> str | None:
        """Warn where last activation and loss do not go together.

        Returns:
            Where the output is logits, the name of the activation that would make probabilities.
        """
        last, takes_logits = self._activation, getattr(self.loss, "from_logits", False)
        if isinstance(last, Softmax) and output_shape[last.axis] == 1:  # type: ignore[index]
            warnings.warn(
                "The model ends in a softmax over a single output, which is always 1. Use "
                "activation='sigmoid', or one output for each class.",
                stacklevel=2,
            )
        elif isinstance(last, (Sigmoid, Softmax)) and takes_logits:
            warnings.warn(
                f"The model ends in a {type(last).__name__.lower()}, and its loss, {self.loss!r}, "
                "takes the output for logits. Leave out from_logits=True, or the activation.",
                stacklevel=2,
            )
        elif takes_logits:
            return "sigmoid" if isinstance(self.loss, BinaryCrossEntropy) else "softmax"
        return None

    def keep_up(self, x: Array, y: Array) -> None:
        """Take note of what a callback has changed in the model since, for the batch that comes.

        Raises:
            ValueError: If the targets do not fit its output any more.
        """
        if self._settled != structure():
            self.loss.check_targets("y", y, self.model.compute_output_shape(x.shape))  # type: ignore[arg-type]
            self.settle()

    def settle(self) -> None:
        """Take note of what follows from the model as it is now."""
        learning = self.model.learning_variables()
        self._regularized = [(v, v.regularizer) for v in learning if v.regularizer is not None]
        self._constrained = [(v, v.constraint) for v in learning if v.constraint is not None]
        if self._settled == structure() or not self.model.built:
            return
        self._settled = structure()
        self._learning = learning
        graph, testing = (self.model.graph(training) for training in (True, False))
        last = _last_activation(graph)
        self._activation = last.layer if last else None
        joined = from_logits(self.loss, self._activation)
        self.joined = joined is not None
        self.loss_in_use = joined or self.loss
        testing_last = _last_activation(testing)
        if last and testing_last and joined:
            graph = graph.before([last])
            testing = testing.before([testing_last])
        self._graph, self._testing = graph, testing
        self._plans.clear()

    def plan(self, inputs: Sequence[Array]) -> Plan:
        """Return the plan of a step on inputs of such shapes; the last few are kept."""
        shapes = tuple(x.shape for x in inputs)
        plan = self._plans.get(shapes)
        if plan is None:
            if len(self._plans) == _PLANS:
                self._plans.pop(next(iter(self._plans)))
            plan = Plan(self._graph, self._learning, inputs, self._memory)
            self._plans[shapes] = plan
        return plan

    def release(self) -> None:
        """Give back the memory of steps."""
        self._step = None
        self._plans.clear()
        self._memory = Memory()

    def forward(self, x: Array, training: bool) -> Array:
        """Return what the loss in use takes: the model's output, or its logits."""
        if training:
            self._step = self.plan([x])
            (output,) = self._step.forward([x])
        else:
            (output,) = infer(self._testing, [x])
        return output

    def predictions(self, output: Array) -> Array:
        """Return the model's output, given what `forward` returned."""
        if not self.joined:
            return output
        assert self._activation is not None  # it is what the loss was joined with
        return self._activation.forward(output)

    def backward(self, gradient: Array) -> None:
        """Fill the gradient of every weight."""
        assert self._step is not None  # forward came first
        self._step.backward([gradient])

    def backward_of(self, x: Array, training: bool = True) -> Callable[[Array], Array]:
        """Go forward, and return the way back: it takes dJ/dy and returns that of the input."""
        executor = ReferenceExecutor(self._graph, self._learning)
        executor.forward([x])
        return lambda gradient: executor.backward([gradient])[0]  # type: ignore[no-any-return]

    def regularize(self) -> float:
        """Add each penalty's gradient to its weight's, and return all penalties of the step."""
        self.add_penalty_gradients()
        assert self._step is not None  # forward came first
        return self.weight_penalty() + self._step.penalty()

    def settle_step(self) -> None:
        """Let the layers write down what the step has gathered, such as moving averages."""
        assert self._step is not None  # forward came first
        self._step.settle()

    def forget_inputs(self) -> None:
        """Let go of the batch of the last step."""
        if self._step is not None:
            self._step.forget_inputs()

    def add_penalty_gradients(self) -> None:
        """Add the gradient of the penalty on each weight to that of the loss."""
        for variable, regularizer in self._regularized:
            variable.gradient += penalty_gradient(regularizer, variable.value)

    def penalty(self, x: Array) -> float:
        """Return all penalties, on weights and on the layers' outputs for the batch ``x``."""
        return self.weight_penalty() + self.model.activity_penalty(x)

    def weight_penalty(self) -> float:
        """Return all penalties on weights."""
        return sum(penalty(regularizer, v.value) for v, regularizer in self._regularized)

    def constrain(self) -> None:
        """Project each constrained weight onto what it may be."""
        for variable, constraint in self._constrained:
            project(variable, constraint)
