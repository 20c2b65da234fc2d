"""The objective of training: the loss, combined with the model's last activation if possible."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np

from nnlite.backend.structure_cache import structure_version
from nnlite.constraints import project
from nnlite.execution import Call, Graph, Memory, Plan, ReferenceExecutor, infer
from nnlite.execution.abstract_model import AbstractModel
from nnlite.execution.graph import Slot
from nnlite.execution.halves import in_halves
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
from nnlite.regularizers import penalty, penalty_gradient
from nnlite.training.heads import Heads
from nnlite.utils.structures import SHAPES, flatten, map_structure
from nnlite.utils.typing import Array

__all__ = ["Objective", "default_loss", "final_activations"]


_PLANS = 4  # most runs have four shapes of batches: whole and last ones, of training and evaluation


def default_loss(
    activation: Layer | None, y: Array, output_shape: tuple[int, ...], crossentropy: bool = False
) -> Loss:
    """Return the loss that fits a model's last activation and the shape of its targets.

    Args:
        activation: The activation.
        y: The targets.
        output_shape: The shape of the predictions.
        crossentropy: Whether it must be a cross-entropy, for any activation.
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
    """Return ``loss`` computed from the logits, if it matches the activation, else None.

    log(softmax(z)) and log(sigmoid(z)) are exact even if the probability has rounded to 0 or 1,
    and the derivative of both together, p - y, is cheaper than two derivatives.
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


def final_activations(model: AbstractModel) -> list[Layer | None]:
    """Return the activation that computes each output of a model, or None."""
    if model.of_user:
        return [None] * len(model.output_names)
    graph = model.graph(False)
    makers = [graph.maker(slot) for slot in graph.outputs]
    layers = [maker.layer if maker is not None else None for maker in makers]
    return [layer if isinstance(layer, ActivationLayer) else None for layer in layers]


def _last_activations(graph: Graph) -> list[Call | None]:
    """Return each output's call of an activation, if no other call reads the output."""
    readers = graph.readers()
    makers = [graph.maker(output) if readers[output] == 1 else None for output in graph.outputs]
    return [
        maker if maker is not None and isinstance(maker.layer, ActivationLayer) else None
        for maker in makers
    ]


def _masks(graph: Graph) -> list[Slot | None]:
    """Return the slot of each output's mask; an empty list if there is none."""
    slots = [graph.masks.get(slot) for slot in graph.outputs]
    return slots if any(slot is not None for slot in slots) else []


class Objective:
    """The loss of one model, with its forward and backward pass.

    Inputs, outputs and targets are single arrays, or flat lists if the model has several.

    Args:
        loss: The loss; `Heads` for several outputs.
        model: The model.
    """

    def __init__(self, loss: Loss | Heads, model: AbstractModel) -> None:
        self.loss = loss
        self.model = model
        self._settled = -1  # the model's structure at the last `settle`
        self._plans: dict[Any, Plan] = {}
        self._memory = Memory()
        self._step: Plan | None = None  # the plan of the last step
        self.loss_in_use: Loss | Heads = loss  # takes the result of `forward`
        self.settle()

    @property
    def _losses(self) -> list[Loss | None]:
        """The loss of each output."""
        return self.loss.losses if isinstance(self.loss, Heads) else [self.loss]

    def warn_of_mismatch(self, output_shapes: Any) -> list[str | None]:
        """Warn if a last activation and its loss do not match.

        Returns:
            For each output of logits, the name of the activation that turns them into
            probabilities; None for the others.
        """
        shapes = flatten(output_shapes, SHAPES)
        each = zip(self._losses, self._activations, shapes, strict=True)
        return [_mismatch(loss, last, shape) for loss, last, shape in each]

    def keep_up(self, x: Any, y: Any) -> None:
        """Update the objective if a callback has changed the model, before the next batch.

        Raises:
            ValueError: If the targets do not fit the model's output any more.
        """
        if self._settled != structure_version():
            shape = self.model.compute_output_shape(map_structure(np.shape, x))
            several = isinstance(self.loss, Heads)
            self.loss.check_targets("y", y, flatten(shape, SHAPES) if several else shape)  # type: ignore[arg-type]
            self.settle()

    def settle(self) -> None:
        """Derive everything that depends on the model's current structure."""
        learning = self.model.learning_variables()
        self._regularized = [(v, v.regularizer) for v in learning if v.regularizer is not None]
        self._constrained = [(v, v.constraint) for v in learning if v.constraint is not None]
        if self._settled == structure_version() or not self.model.built:
            return
        self._settled = structure_version()
        self._learning = learning
        graph, testing = (self.model.graph(training) for training in (True, False))
        last, testing_last = _last_activations(graph), _last_activations(testing)
        self._activations = [call.layer if call else None for call in last]
        each = zip(self._losses, self._activations, testing_last, strict=True)
        joined = [from_logits(loss, own) if loss and call else None for loss, own, call in each]
        #: For each output, the activation that is skipped because the loss takes the logits.
        self._left_to_loss = [
            own if loss else None for own, loss in zip(self._activations, joined, strict=True)
        ]
        if isinstance(self.loss, Heads):
            losses = [own or loss for own, loss in zip(joined, self._losses, strict=True)]
            self.loss_in_use = self.loss.with_losses(losses)
        else:
            self.loss_in_use = joined[0] or self.loss
        self.joined = any(joined)
        if self.joined:
            graph = graph.before(compress(last, joined))
            testing = testing.before(compress(testing_last, joined))
        self._graph, self._testing = graph, testing
        self._masks = [_masks(testing), _masks(graph)]
        self._plans.clear()

    def plan(self, inputs: Sequence[Array]) -> Plan:
        """Return the plan of a step for the inputs' shapes; the last few plans are kept."""
        one = len(inputs) == 1
        shapes = inputs[0].shape if one else tuple([x.shape for x in inputs])
        plan = self._plans.get(shapes)
        if plan is None:
            if len(self._plans) == _PLANS:
                self._plans.pop(next(iter(self._plans)))
            halves = in_halves(self.model.all_layers(), len(inputs[0]))
            plan = Plan(self._graph, self._learning, inputs, self._memory, halves)
            self._plans[shapes] = plan
        return plan

    def release(self) -> None:
        """Free the memory of steps."""
        self._step = None
        self._plans.clear()
        self._memory = Memory()

    def forward(self, x: Any, training: bool) -> Any:
        """Return the input of the loss in use: the model's output or its logits."""
        inputs = x if type(x) is list else [x]
        if training:
            self._step = self.plan(inputs)
            outputs = self._step.forward(inputs)
        else:
            outputs = infer(self._testing, inputs)
        return outputs if isinstance(self.loss, Heads) else outputs[0]

    def masks(self, x: Any, training: bool) -> list[Array | None] | None:
        """Return the masks of the outputs for ``x``, the batch of the last `forward`."""
        slots = self._masks[training]
        if not slots:
            return None
        graph = self._graph if training else self._testing
        values: Any
        if training and self._step is not None:
            values = self._step.values
        else:
            executor = ReferenceExecutor(graph)
            executor.forward(x if type(x) is list else [x])
            values = executor.values
        return [None if slot is None else values[slot] for slot in slots]

    def masked(self, masks: Sequence[Array | None], weight: Any, output: Any) -> Any:
        """Return the weights of samples, 0 for those that ``masks`` leave out."""
        several = isinstance(self.loss, Heads)
        outputs = output if several else [output]
        weights = (weight or [None] * len(masks)) if several else [weight]
        each = zip(self._losses, masks, weights, outputs, strict=True)
        made = [
            own if loss is None or mask is None else loss.masked(mask, own, y.shape)
            for loss, mask, own, y in each
        ]
        return made if several else made[0]

    def loss_and_gradient(
        self, y: Any, output: Any, weight: Any, masks: Sequence[Array | None] | None
    ) -> tuple[float, Any, list[float | None]]:
        """Return the loss of a batch, its derivative by ``output``, and the loss of each output.

        Args:
            y: The targets.
            output: The result of `forward`.
            weight: The weight of each sample.
            masks: The result of `masks`.
        """
        weight = weight if masks is None else self.masked(masks, weight, output)
        if isinstance(self.loss_in_use, Heads):
            return self.loss_in_use.value_and_gradients(y, output, weight)
        value, gradient = self.loss_in_use.value_and_gradient(y, output, weight)
        return value, gradient, [value]

    def predictions(self, output: Any) -> Any:
        """Return the model's output for the result of `forward`."""
        if not self.joined:
            return output
        left_out = self._left_to_loss
        if type(output) is not list:
            assert left_out[0] is not None  # the activation that the loss includes
            return left_out[0].forward(output)
        return [a.forward(y) if a else y for a, y in zip(left_out, output, strict=True)]

    def backward(self, gradient: Any) -> None:
        """Fill the gradient of every weight."""
        assert self._step is not None  # forward came first
        self._step.backward(gradient if type(gradient) is list else [gradient])

    def backward_of(self, x: Any, training: bool = True) -> Callable[[Any], Any]:
        """Run the forward pass, and return the backward pass, a function from dJ/dy to dJ/dx."""
        executor = ReferenceExecutor(self._graph, self._learning)
        several = type(x) is list
        executor.forward(x if several else [x])

        def back(gradient: Any) -> Any:
            gradients = executor.backward(gradient if type(gradient) is list else [gradient])
            return gradients if several else gradients[0]

        return back

    def regularize(self) -> float:
        """Add each penalty's gradient to its weight's, and return the sum of all penalties."""
        assert self._step is not None  # forward came first
        if not self._regularized:
            return self._step.penalty()
        self.add_penalty_gradients()
        return self.weight_penalty() + self._step.penalty()

    def step_penalty(self) -> float:
        """Return the sum of the penalties on the layers' outputs in the step."""
        assert self._step is not None  # forward came first
        return self._step.penalty()

    def averages_rows(self, y: Any, output: Any) -> bool:
        """Return whether a batch's loss is the mean of its parts' losses, weighted by rows."""
        loss = self.loss_in_use
        return isinstance(loss, Loss) and loss.averages_rows(y, output.ndim)

    def settle_step(self) -> None:
        """Let the layers store the step's results, such as moving averages."""
        assert self._step is not None  # forward came first
        self._step.settle()

    def forget_inputs(self) -> None:
        """Drop references to the batch of the last step."""
        if self._step is not None:
            self._step.forget_inputs()

    def add_penalty_gradients(self) -> None:
        """Add the gradient of the penalty on each weight to that of the loss."""
        for variable, regularizer in self._regularized:
            variable.gradient += penalty_gradient(regularizer, variable.value)

    def penalty(self, x: Any) -> float:
        """Return the sum of the penalties on weights and on outputs for the batch ``x``."""
        return self.weight_penalty() + self.model.activity_penalty(x)

    def weight_penalty(self) -> float:
        """Return the sum of the penalties on weights."""
        return sum(penalty(regularizer, v.value) for v, regularizer in self._regularized)

    def constrain(self) -> None:
        """Apply the constraints to the weights."""
        for variable, constraint in self._constrained:
            project(variable, constraint)


def _mismatch(loss: Loss | None, last: Layer | None, shape: Any) -> str | None:
    """Warn if a last activation and its loss do not match; see `warn_of_mismatch`."""
    takes_logits = getattr(loss, "from_logits", False)
    if isinstance(last, Softmax) and shape[last.axis] == 1:
        warnings.warn(
            "The model ends in a softmax over a single output, which is always 1. Use "
            "activation='sigmoid', or one output per class.",
            stacklevel=3,
        )
    elif isinstance(last, (Sigmoid, Softmax)) and takes_logits:
        warnings.warn(
            f"The model ends in a {type(last).__name__.lower()}, and its loss, {loss!r}, "
            "expects logits. Remove from_logits=True or the activation.",
            stacklevel=3,
        )
    elif takes_logits:
        return "sigmoid" if isinstance(loss, BinaryCrossEntropy) else "softmax"
    return None
