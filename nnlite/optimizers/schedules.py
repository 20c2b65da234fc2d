"""Learning rate schedules."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.serialization.objects import serialize_keras_object
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.validation import check_count, check_number

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule(Configurable):
    """Base class of learning rate schedules, which optimizers accept as ``learning_rate``.

    A subclass defines ``__call__(step)`` and stores the arguments of its ``__init__`` in
    attributes of the same names.

    >>> class Inverse(LearningRateSchedule):
    ...     def __init__(self, initial):
    ...         self.initial = initial
    ...
    ...     def __call__(self, step):
    ...         return self.initial / (step + 1)
    >>> from nnlite.optimizers import SGD
    >>> SGD(Inverse(0.5)).learning_rate
    0.5
    """

    def __call__(self, step: float) -> float:
        """Return the learning rate after ``step`` steps (0 at the first step)."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


registry: Registry[LearningRateSchedule] = Registry(
    "learning rate schedule", LearningRateSchedule, "keras.optimizers.schedules"
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return a schedule as plain data: class name and configuration.

    >>> serialize(ExponentialDecay(0.1, 100, 0.5))["class_name"]
    'ExponentialDecay'
    """
    return serialize_keras_object(learning_rate_schedule)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """Create a schedule from the result of `serialize`.

    Args:
        config: The schedule as plain data.
        custom_objects: Your own classes, by name.

    Raises:
        ValueError: If the name is unknown, or the configuration does not fit.

    >>> deserialize(serialize(ExponentialDecay(0.1, 100, 0.5)))
    ExponentialDecay(initial_learning_rate=0.1, decay_steps=100, decay_rate=0.5)
    """
    return registry.deserialize(config, custom_objects)


def _positive(name: str, value: Any) -> Any:
    """Return ``value`` if it is a number above 0."""
    if check_number(name, value) == 0:
        raise ValueError(f"{name} must be > 0. Received: {name}={value}")
    return value


@registry.register()
class ExponentialDecay(LearningRateSchedule):
    """Exponential decay: the rate a q^(t / n) after t steps.

    Args:
        initial_learning_rate: a.
        decay_steps: n.
        decay_rate: q.
        staircase: Whether to round t / n down, so that the rate falls every n steps.
        name: The name.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If one is negative, or ``decay_steps`` is 0.

    >>> ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)(5)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = check_number("decay_rate", decay_rate)
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        periods = float(step) / self.decay_steps
        if self.staircase:
            periods = math.floor(periods)
        return self.initial_learning_rate * self.decay_rate**periods


@registry.register()
class PiecewiseConstantDecay(LearningRateSchedule):
    """Piecewise constant rates: one up to and including each boundary, one after the last.

    Args:
        boundaries: Increasing numbers of steps.
        values: The rates, one more than boundaries.
        name: The name.

    Raises:
        TypeError: If a boundary or value is not a number.
        ValueError: If the number of values is wrong, or the boundaries do not increase.

    >>> rate = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
    >>> rate(10), rate(11), rate(1000)
    (1.0, 0.5, 0.1)
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if (np.ndim(boundaries), np.ndim(values)) != (1, 1) or len(boundaries) != len(values) - 1:
            raise ValueError(
                "values must be one more than boundaries. "
                f"Received: boundaries={boundaries!r}, values={values!r}"
            )
        for boundary in boundaries:
            check_number("boundaries", boundary, -math.inf)
        for value in values:
            check_number("values", value)
        if any(a >= b for a, b in pairwise(boundaries)):
            raise ValueError(f"boundaries must increase. Received: boundaries={boundaries!r}")
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        return float(self.values[bisect_left(self.boundaries, step)])


@registry.register()
class PolynomialDecay(LearningRateSchedule):
    """Polynomial decay: the rate (a - b) (1 - t / n)^p + b after t steps, b from n steps on.

    Args:
        initial_learning_rate: a.
        decay_steps: n.
        end_learning_rate: b.
        power: p.
        cycle: Whether to start again after reaching b: n becomes its first multiple >= t.
        name: The name.

    The errors are those of `ExponentialDecay`.

    >>> PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.25)(5)
    0.375
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = check_number("end_learning_rate", end_learning_rate)
        self.power = check_number("power", power)
        self.cycle = bool(cycle)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        periods = float(step) / self.decay_steps
        fraction = periods / max(1, math.ceil(periods)) if self.cycle else min(periods, 1.0)
        fall = self.initial_learning_rate - self.end_learning_rate
        return fall * (1 - fraction) ** self.power + self.end_learning_rate


@registry.register()
class InverseTimeDecay(LearningRateSchedule):
    """Inverse time decay: the rate a / (1 + q t / n) after t steps.

    Args:
        initial_learning_rate: a.
        decay_steps: n.
        decay_rate: q.
        staircase: Whether to round t / n down, so that the rate falls every n steps.
        name: The name.

    The errors are those of `ExponentialDecay`.

    >>> InverseTimeDecay(0.5, decay_steps=10, decay_rate=2)(5)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = check_number("decay_rate", decay_rate)
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        periods = float(step) / self.decay_steps
        if self.staircase:
            periods = math.floor(periods)
        return self.initial_learning_rate / (1 + self.decay_rate * periods)


def _cosine(fraction: float) -> float:
    """Return half a cosine wave, from 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * fraction)) / 2


@registry.register()
class CosineDecay(LearningRateSchedule):
    """Cosine decay: the rate a ((1 - c) (1 + cos(pi t / n)) / 2 + c) until t = n, then a c.

    With a warmup to b in k steps, the rate first rises linearly from a to b. Then b replaces a, and
    t counts from k.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    equation 5; Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2 (warmup).

    Args:
        initial_learning_rate: a.
        decay_steps: n.
        alpha: c, the fraction of the rate that remains.
        name: The name.
        warmup_target: b; None means no warmup.
        warmup_steps: k.

    The errors are those of `ExponentialDecay`.

    >>> CosineDecay(0.5, decay_steps=10)(5)
    0.25
    >>> CosineDecay(0.0, decay_steps=10, warmup_target=0.5, warmup_steps=4)(2)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = check_number("alpha", alpha)
        self.name = name
        self.warmup_target = (
            None if warmup_target is None else check_number("warmup_target", warmup_target)
        )
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        start, begun = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if begun < self.warmup_steps:
                return start + (self.warmup_target - start) * begun / self.warmup_steps
            start, begun = self.warmup_target, begun - self.warmup_steps
        wave = _cosine(min(begun / self.decay_steps, 1.0))
        return start * ((1 - self.alpha) * wave + self.alpha)


@registry.register()
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay with restarts: the rate jumps back up at the end of each decay.

    The i-th from 0 lasts n p^i steps, and falls from a ((1 - c) q^i + c) to a c.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    section 3.

    Args:
        initial_learning_rate: a.
        first_decay_steps: n.
        t_mul: p, at least 1, the ratio of the lengths of successive decays.
        m_mul: q, the ratio of the heights of successive decays.
        alpha: c, the fraction of the rate that remains.
        name: The name.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If one is negative, ``first_decay_steps`` is 0, or ``t_mul`` is below 1.

    >>> rate = CosineDecayRestarts(0.5, first_decay_steps=10, m_mul=0.5)
    >>> rate(0), rate(5), rate(10), rate(20)
    (0.5, 0.25, 0.25, 0.125)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self.t_mul = check_number("t_mul", t_mul, 1.0)
        self.m_mul = check_number("m_mul", m_mul)
        self.alpha = check_number("alpha", alpha)
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the rate after ``step`` steps."""
        restarts, fraction = self._place(float(step) / self.first_decay_steps)
        height = self.m_mul**restarts * _cosine(fraction)
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)

    def _place(self, time: float) -> tuple[int, float]:
        """Return the number of finished decays and the fraction of the current one."""
        p = self.t_mul
        if p == 1:
            return int(time), time % 1

        def start(i: int) -> float:
            return (p**i - 1) / (p - 1)

        i = int(math.log1p(time * (p - 1)) / math.log(p))
        # If a decay ends at a whole step, rounding must not move that step before the end.
        i += time * (1 + 1e-12) >= start(i + 1)
        return i, max(0.0, (time - start(i)) / p**i)
