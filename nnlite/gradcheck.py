"""Finite-difference checks of gradients.

For your own layers, losses and models as well as nnlite's. The checks compute in float64 on a copy
and do not change their arguments.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress, pairwise
from typing import Any, TypeVar

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.execution.common_state import generators_of
from nnlite.layers.layer import Layer, as_shape
from nnlite.losses import Loss
from nnlite.models.model import Model
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array

__all__ = ["GradientError", "check_layer", "check_loss", "check_model"]

L = TypeVar("L", bound=Layer)
R = TypeVar("R")

# Underflow to 0 is exact enough; any other floating-point warning is an error.
_STRICT: dict[str, Any] = {
    "over": "raise",
    "divide": "raise",
    "invalid": "raise",
    "under": "ignore",
}

# How far an entry is moved, relative to its size or to 1, if it is smaller. The error of a central
# difference is about h^2 by curvature and eps |S| / h by rounding, some 1e-8 and 1e-12 for this
# step; if that is too large, for strong curvature or a kink close by, finer steps follow.
_STEP = 1e-4
_FINER = 10**-0.5

# The rounding error of S, in units of eps |S|: long sums and deep chains stay well below it.
_ROUNDING = 100 * float(np.finfo(np.float64).eps)

_NOTHING = 1e-30  # smaller derivatives are close to underflow

_ONE_BY_ONE = 64  # up to so many entries are moved one by one
_DIRECTIONS = 2  # how often more entries are moved together


class GradientError(AssertionError):
    """Raised for a wrong gradient; the message names the entry."""


def check_layer(
    layer: Layer, x: Any = None, *, input_shape: Any = None, rtol: float = 1e-6
) -> None:
    """Check a layer's `backward` against finite differences of its ``forward(training=True)``.

    The check compares the derivatives of S = sum(R * forward(x)), for a fixed random R, with
    respect to each entry of x and of each trainable weight: those of ``backward(R)`` with
    (S(x + h) - S(x - h)) / 2h. Many entries are moved together, each up or down at random; if that
    disagrees, bisection finds a wrong one. Random draws, as of `Dropout`, are the same at every
    step. At a kink, any slope between those of its sides is accepted; at a jump, any slope. If one
    entry moves several units across their kinks together, as an x of zeros does without a bias, a
    correct gradient may be rejected.

    Source: Chainer's ``gradient_check`` for random directions; for the steps see Press
    et al., "Numerical Recipes", 3rd edition, section 5.7.

    Args:
        layer: The layer, built or not, of either float type.
        x: A batch of inputs, or a list of them for several inputs. By default, three samples from
            a normal distribution. Integer inputs of layers such as `Embedding` are not moved.
        input_shape: The shape of such a sample, if the layer does not know it.
        rtol: The accepted relative error of a derivative.

    Raises:
        GradientError: If a derivative is wrong, missing or of the wrong shape, is added to the
            previous gradient, or changes from one call to the next; or if ``x`` or the gradient
            passed in is written to. The message has the entry and both numbers.
        ValueError: If ``x`` is not given and its shape is unknown.
        FloatingPointError: If the layer overflows, divides by 0, or computes a NaN.

    >>> class Square(Layer):
    ...     def forward(self, x, training=False):
    ...         self.cache = (x,)
    ...         return x**2
    ...
    ...     def backward(self, gradient):
    ...         (x,) = self.cache
    ...         return gradient * x  # should be gradient * 2 * x
    >>> check_layer(Square(), [[1.0, 3.0]])
    Traceback (most recent call last):
      ...
    nnlite.gradcheck.GradientError: input of layer 'square', entry [0, 0]: backward gives \
-1.01182, finite differences give -2.02364
    """
    twin = float64_copy(layer)
    x = twin._as_arrays(_any_input(layer, input_shape) if x is None else x)
    x = map_structure(partial(np.array, order="C"), x)
    inputs = flatten(x)
    moved = [array.dtype.kind == "f" for array in inputs]
    twin.ensure_built(map_structure(lambda array: (None, *array.shape[1:]), x))
    forward = repeatable(twin, twin.forward)
    what = f"layer {layer.name!r}"
    weights = _named_weights(twin)
    with np.errstate(**_STRICT):
        generator = np.random.default_rng(1)
        R = generator.uniform(0.5, 1.5, forward(x).shape)
        R *= generator.choice([-1, 1], R.shape)

        def terms() -> Array:
            output = (R * forward(x)).ravel()
            penalty = twin.step_penalty() if isinstance(twin, Model) else 0.0
            return np.append(output, penalty)

        def gradients() -> list[Any]:
            _blot(weights)
            kept, kept_R = copy.deepcopy(inputs), R.copy()
            forward(x)
            slopes = flatten(twin.backward(R))
            for pair in zip(inputs, kept, strict=True):
                _require_untouched(what, x=pair)
            _require_untouched(what, gradient=(R, kept_R))
            of_inputs = list(compress(slopes, moved))
            return [*of_inputs, *(variable.gradient for _, variable in weights)]

        names = [f"input{f' {i}' if i else ''} of {what}" for i in range(len(inputs))]
        arrays = list(compress(zip(names, inputs, strict=True), moved))
        arrays += [(name, v.value) for name, v in weights]
        _check(arrays, gradients, terms, rtol)


def check_loss(
    loss: Loss, y_true: Any, y_pred: Any, sample_weight: Any = None, *, rtol: float = 1e-6
) -> None:
    """Check a loss's `gradient` against finite differences of its value.

    The check compares the derivatives of ``loss(y_true, y_pred, sample_weight)`` (of its sum for
    ``reduction="none"``) with respect to each entry of ``y_pred``; see `check_layer`.

    Args:
        loss: The loss.
        y_true: The targets.
        y_pred: The predictions.
        sample_weight: The weight of each sample.
        rtol: The accepted relative error of a derivative.

    Raises:
        GradientError: If a derivative is wrong, or an argument is written to.
        FloatingPointError: If the loss overflows, divides by 0, or computes a NaN.

    >>> from nnlite.losses import MeanSquaredError
    >>> class WrongMean(MeanSquaredError):
    ...     def derivative(self, y_true, y_pred):
    ...         return 2 * (y_pred - y_true)
    >>> check_loss(MeanSquaredError(), [[0.0, 0.0]], [[1.0, 2.0]])
    >>> check_loss(WrongMean(), [[0.0, 0.0]], [[1.0, 2.0]])
    Traceback (most recent call last):
      ...
    nnlite.gradcheck.GradientError: y_pred of loss 'wrong_mean', entry [0, 0]: backward gives 2, \
finite differences give 1
    """
    loss = copy.deepcopy(loss)
    loss.dtype = None
    y_pred = np.array(y_pred, np.float64, order="C")
    given = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
    what = f"loss {loss.name!r}"

    def gradients() -> list[Any]:
        kept = copy.deepcopy(given)
        gradient = loss.gradient(**given)
        _require_untouched(what, **{name: (given[name], kept[name]) for name in given})
        return [gradient]

    with np.errstate(**_STRICT):
        _check([(f"y_pred of {what}", y_pred)], gradients, lambda: np.ravel(loss(**given)), rtol)


def check_model(
    model: Model, x: Any, y: Any, sample_weight: Any = None, *, rtol: float = 1e-6
) -> None:
    """Check a model's gradient, as training computes it, against finite differences of its loss.

    The check compares the derivatives of the loss of one training step, including penalties, with
    respect to each entry of ``x`` and of each trainable weight; see `check_layer`. The loss is that
    of `compile`, or else the default of `fit`.

    Args:
        model: The model, built or not, compiled or not, of either float type.
        x: A batch of inputs; a list or dict for several inputs, as for `fit`.
        y: The targets, as for `fit`.
        sample_weight: The weight of each sample.
        rtol: The accepted relative error of a derivative.

    Raises:
        GradientError: If a derivative is wrong, or ``x`` is written to.
        ValueError: If `fit` would not accept ``x`` or ``y``.
        FloatingPointError: If the model overflows, divides by 0, or computes a NaN.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(3, activation="tanh"), Dense(1, activation="sigmoid")])
    >>> check_model(model, [[1.0, 2.0], [3.0, 4.0]], [0, 1])
    """
    twin = float64_copy(model)
    data, loss = twin._data.arrays(x, y, sample_weight, None)
    twin._step.prepare(data.shape, loss, training=True)
    objective = twin._step.known_objective()
    given, y, weight = data.whole()
    xs = [np.array(array, order="C") for array in flatten(given)]
    x = xs if type(given) is list else xs[0]
    moved = [array.dtype.kind == "f" for array in xs]  # integers have no derivative
    what = f"model {model.name!r}"
    names = [f"input {name!r} of {what}" for name in twin.input_names]
    names = names if len(xs) > 1 else [f"input of {what}"]
    inputs = [*compress(zip(names, xs, strict=True), moved)]
    weights = _named_weights(twin)
    forward = repeatable(twin, objective.forward)
    backward = repeatable(twin, objective.backward_of)

    def step() -> tuple[float, Any]:
        output = forward(x)
        masks = objective.masks(x, training=True)
        return objective.loss_and_gradient(y, output, weight, masks)[:2]

    def terms() -> Array:
        value, _ = step()
        return np.array([value, objective.regularize()])

    def gradients() -> list[Any]:
        kept = copy.deepcopy(xs)
        _, gradient = step()
        found = compress(flatten(backward(x)(gradient)), moved)
        of_inputs = [
            np.zeros_like(array) if one is None else np.array(one)
            for one, (_, array) in zip(found, inputs, strict=True)
        ]
        _blot(weights)
        _, gradient = step()
        objective.backward(gradient)
        objective.regularize()
        for array, before in zip(xs, kept, strict=True):
            _require_untouched(what, x=(array, before))
        return [*of_inputs, *(variable.gradient for _, variable in weights)]

    with np.errstate(**_STRICT):
        arrays = [*inputs, *((name, v.value) for name, v in weights)]
        _check(arrays, gradients, terms, rtol)


# ---- the copy -----------------------------------------------------------------------------------


def float64_copy(layer: L) -> L:
    """Return a copy of ``layer``, built or not, that computes in float64."""
    twin = copy.deepcopy(layer)
    for part in twin.all_layers():
        part.dtype = "float64"
        for name, value in vars(part).items():
            if isinstance(value, np.ndarray) and value.dtype == np.float32:
                setattr(part, name, value.astype(np.float64))
        for variable in part._variables:
            value = variable.value.astype(np.float64, order="C")
            variable.rebind(value, np.zeros_like(value))
    return twin


def _any_input(layer: Layer, input_shape: Any) -> Array:
    """Return three samples of the given shape, or else of the layer's."""
    known = getattr(layer, "input_shape", None) or layer.declared_shape
    if input_shape is None and known is None:
        raise ValueError(
            f"The input shape of layer {layer.name!r} is unknown: give x or input_shape."
        )
    shape = known[1:] if input_shape is None and known else as_shape("input_shape", input_shape)
    sizes = [2 if size is None else size for size in shape]
    return np.random.default_rng(0).standard_normal([3, *sizes])


def repeatable(layer: Layer, forward: Callable[..., R]) -> Callable[[Array], R]:
    """Return ``forward`` in training, which resets the layer's generators first."""
    states = [
        (generator.bit_generator, generator.bit_generator.state)
        for own in generators_of(layer)
        for generator in own.values()
    ]

    def run(x: Array) -> R:
        for generator, state in states:
            generator.state = state
        return forward(x, training=True)

    return run


def _named_weights(layer: Layer) -> list[tuple[str, Variable]]:
    """Return each trainable weight with its name in errors."""
    trained = {id(variable) for variable in layer.learning_variables()}
    return [
        (f"weight {variable.name!r} of layer {part.name!r}", variable)
        for part in layer.all_layers()
        for variable in part._variables
        if id(variable) in trained
    ]


def _blot(weights: list[tuple[str, Variable]]) -> None:
    """Fill the gradients with NaN, to find entries that are not written."""
    for _, variable in weights:
        variable.gradient.fill(np.nan)


def _require_untouched(owner: str, **pairs: tuple[Any, Any]) -> None:
    for name, (array, kept) in pairs.items():
        if not np.array_equal(array, kept):
            raise GradientError(f"{owner} writes into the {name} that it is given")


def slopes(array: Array, entries: Sequence[int], terms: Callable[[], Array]) -> list[float]:
    """Return the derivatives of the sum of ``terms()`` by some entries of ``array``.

    A short step crosses few kinks; its rounding error is about 1e-10 of the sum.

    Args:
        array: The array, which is contiguous and moved in place.
        entries: The indices into the flat array.
        terms: Computes the terms from ``array``.
    """
    comparison = _Comparison("", array, np.zeros(array.shape), terms, terms(), 0.0)
    return [comparison._slopes(slice(i, i + 1), _STEP / 100, 0.0)[0] for i in entries]


# ---- the comparison -----------------------------------------------------------------------------


def _check(
    arrays: list[tuple[str, Array]],
    gradients: Callable[[], list[Any]],
    terms: Callable[[], Array],
    rtol: float,
) -> None:
    """Compare ``gradients()``, one for each array, with changes of the sum of ``terms()``."""
    first, second = ([copy.deepcopy(g) for g in gradients()] for _ in range(2))
    for (label, array), gradient, again in zip(arrays, first, second, strict=True):
        if np.shape(gradient) != array.shape or gradient is None:
            came = "None" if gradient is None else f"shape {np.shape(gradient)}"
            raise GradientError(f"{label}: its gradient has shape {array.shape}. Received: {came}")
        for at in np.argwhere(~np.isfinite(gradient))[:1].tolist():
            raise GradientError(
                f"{label}, entry {at}: backward gives {gradient[tuple(at)]}. A weight's gradient "
                "must be written whole: nan is the value from before."
            )
        for at in np.argwhere(gradient != again)[:1].tolist():
            raise GradientError(
                f"{label}, entry {at}: backward gives {gradient[tuple(at)]}, "
                f"and {again[tuple(at)]} when the step is repeated"
            )
    base = terms()
    if not np.array_equal(base, terms()):
        raise GradientError(f"{arrays[0][0]}: forward gives another output when called again")
    for (label, array), gradient in zip(arrays, first, strict=True):
        _Comparison(label, array, gradient, terms, base, rtol).run()


class _Comparison:
    """One array, its gradient, and the sum S of ``terms()``, which depends on the array."""

    def __init__(
        self,
        label: str,
        array: Array,
        gradient: Array,
        terms: Callable[[], Array],
        base: Array,
        rtol: float,
    ) -> None:
        self.label, self.shape, self.rtol = label, array.shape, rtol
        self.terms, self.base = terms, base
        self.flat = array.reshape(-1)
        self.gradient = np.ravel(gradient).astype(np.float64, copy=False)
        # The 1 is for parts of S: log(1 + e) is only as exact as the 1 in it.
        self.rounding = 2 * _ROUNDING * (1 + float(np.linalg.norm(self.base)))
        # A gradient far below the largest one is known only up to that one's error.
        self.least = 0.01 * float(np.abs(self.gradient).max(initial=0))

    def run(self) -> None:
        """Raise a `GradientError` unless the gradient is right everywhere."""
        size = self.flat.size
        if size <= _ONE_BY_ONE:
            for index in range(size):
                self._check_entry(index)
            return
        generator = np.random.default_rng(0)
        for _ in range(_DIRECTIONS):
            signs = generator.integers(0, 2, size, dtype=np.int8) * 2 - 1
            if not self._agrees(0, size, signs):
                self._search(0, size, signs)

    def _search(self, start: int, stop: int, signs: Array) -> None:
        """Find a wrong entry between start and stop by bisection, and raise."""
        if stop - start == 1:
            self._check_entry(start)
            return
        middle = (start + stop) // 2
        left_agrees = self._agrees(start, middle, signs)
        if not left_agrees:
            self._search(start, middle, signs)
        if left_agrees or not self._agrees(middle, stop, signs):
            self._search(middle, stop, signs)

    def _agrees(self, start: int, stop: int, signs: Array) -> bool:
        """Return whether S changes as predicted if entries start to stop are moved together."""
        part = slice(start, stop)
        seen = np.inf
        for step in (_STEP / 10, _STEP / 100, _STEP / 1000):
            up, down, width = self._move(part, step, signs[part])
            predicted = np.multiply(self.gradient[part], width, out=width)
            error = abs(up + down - float(predicted.sum()))
            # With random signs, the errors of many entries add up like a norm, not like a sum.
            size = float(np.linalg.norm(predicted)) + self.least * step
            if error <= self.rtol * size + self.rounding and self.rounding < 0.3 * seen * step:
                return True
            if error > 0.5 * seen * step:  # neither curvature nor a kink close by
                return False
            seen = min(seen, error / step)
        return False

    def _check_entry(self, index: int) -> None:
        part = slice(index, index + 1)
        analytic = float(self.gradient[index])
        margin = self.rtol * (abs(analytic) + self.least) + _NOTHING
        slope, blur, *_ = self._slopes(part, _STEP, self.rounding)
        if abs(slope - analytic) <= margin + blur:
            return
        # For all digits, measure the rounding and extrapolate to a step of 0.
        rounding = self._measured_rounding(part)
        wider = self._slopes(part, _STEP / _FINER, rounding)[0]
        numeric, seen = slope, np.inf
        sides = []
        for step in _STEP * _FINER ** np.arange(13):
            slope, blur, up, down = self._slopes(part, step, rounding)
            extrapolated = (
                slope + (slope - wider) / 9
            )  # the error is proportional to the step's square
            error = min(abs(slope - analytic), abs(extrapolated - analytic))
            # A finer step acquits only if its own rounding error is below the error seen before,
            # or negligible.
            if error <= margin + blur and blur < max(0.7 * seen, 3 * margin):
                return
            if blur < 0.01 * seen:
                numeric = slope
            seen, wider = min(seen, error), slope
            sides.append((up, down, blur))
        if not self._is_subgradient(analytic, sides):
            place = list(map(int, np.unravel_index(index, self.shape)))
            raise GradientError(
                f"{self.label}, entry {place}: backward gives {analytic:.6g}, "
                f"finite differences give {numeric:.6g}"
            )

    def _slopes(
        self, part: slice, step: float, rounding: float
    ) -> tuple[float, float, float, float]:
        """Return the slope of S at an entry, its rounding error, and the slopes of its sides."""
        up, down, widths = self._move(part, step, 1)
        width = float(widths[0])
        return (up + down) / width, rounding / width, 2 * up / width, 2 * down / width

    def _is_subgradient(self, analytic: float, sides: list[tuple[float, float, float]]) -> bool:
        """Return whether there is a jump, or a kink with ``analytic`` between its slopes.

        As the step shrinks, the slopes of the two sides converge if S is smooth, stay apart at a
        kink, and diverge at a jump. Each step is 0.32 of the one before it. The finest step above
        the rounding error decides, as it is the least likely to span a kink nearby.
        """
        for (up, down, _), (finer_up, finer_down, blur) in reversed(list(pairwise(sides))):
            gap, finer_gap = abs(up - down), abs(finer_up - finer_down)
            if abs((finer_up + finer_down) / 2 - analytic) > 30 * blur:
                low, high = sorted((finer_up, finer_down))
                margin = 1e-3 * finer_gap
                between = low - margin <= analytic <= high + margin
                kink = between and finer_gap > 0.5 * gap
                return finer_gap > 30 * blur and (kink or finer_gap > 2 * gap)
        return False

    def _move(self, part: slice, step: float, signs: Any) -> tuple[float, float, Array]:
        """Return the changes of S above and below the current point, and the width."""
        here = self.flat[part].copy()
        reach = np.abs(here)  # then in place: this may be a large kernel
        np.maximum(reach, 1, out=reach)
        reach *= signs
        reach *= step
        above = here + reach
        below = np.subtract(here, reach, out=reach)
        up = self._change(part, above)
        down = -self._change(part, below)
        self.flat[part] = here
        return up, down, np.subtract(above, below, out=above)  # rounded, unlike 2 reach

    def _change(self, part: slice, values: Array) -> float:
        self.flat[part] = values
        try:
            return float((self.terms() - self.base).sum())
        except FloatingPointError:  # outside of the domain; a shorter step may be inside
            return np.nan

    def _measured_rounding(self, part: slice) -> float:
        """Return the rounding error of S: its second difference over very short steps."""
        here = self.flat[part].copy()
        reach = 1e-12 * np.maximum(1, np.abs(here))
        values = [self._change(part, here + k * reach) for k in range(-3, 4)]
        self.flat[part] = here
        # The median ignores a kink. Where S is linear, as in a copy of x, the step's own rounding
        # remains.
        return max(3 * float(np.median(np.abs(np.diff(values, 2)))), self.rounding / 100)
