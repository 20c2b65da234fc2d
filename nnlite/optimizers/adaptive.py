"""Optimizers with a step size per weight: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

import numpy as np

from nnlite.optimizers.optimizer import TINY, Optimizer, registry
from nnlite.optimizers.state import Rate
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, check_number


@registry.register("rmsprop", "RMSProp")
class RMSprop(Optimizer):
    """RMSprop: divides gradients by a running root mean square.

    s <- r s + (1 - r) g^2, and w <- w - a g / sqrt(s + e). If centered, the square of the running
    mean of g is subtracted from s. With momentum p, v <- p v + (that step), and w <- w - v.

    Source: Tieleman and Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; Graves, "Generating
    Sequences With Recurrent Neural Networks", 2013, equations 38 to 41 (centered).

    Args:
        learning_rate: a, as for `Optimizer`.
        rho: r, in [0, 1).
        momentum: p, in [0, 1).
        epsilon: e.
        centered: Whether to divide by the running standard deviation.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If ``rho`` or ``momentum`` is outside [0, 1), or as for `Optimizer`.

    >>> RMSprop(rho=0.95)
    RMSprop(rho=0.95)
    """

    slots: tuple[str, ...] = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**Optimizer._among(locals()))
        self.rho = check_fraction("rho", rho)
        self.momentum = check_fraction("momentum", momentum)
        self.epsilon = check_number("epsilon", epsilon)
        self.centered = bool(centered)
        kept = {"velocity": True, "momentum": bool(momentum), "average_gradient": self.centered}
        self.slots = tuple(slot for slot, needed in kept.items() if needed)

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step."""
        s, *more = state
        s *= self.rho
        np.square(g, out=scratch)
        scratch *= 1 - self.rho
        s += scratch
        if self.centered:
            mean = more[-1]
            mean *= self.rho
            np.multiply(g, 1 - self.rho, out=scratch)
            mean += scratch
            np.square(mean, out=scratch)
            np.subtract(s, scratch, out=scratch)
            np.maximum(scratch, 0, out=scratch)  # rounding can make a variance negative
            scratch += max(self.epsilon, TINY)
        else:
            np.add(s, max(self.epsilon, TINY), out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(g, scratch, out=scratch)
        scratch *= self.rate
        if self.momentum:
            v = more[0]
            v *= self.momentum
            v += scratch
            w -= v
        else:
            w -= scratch


@registry.register()
class Adagrad(Optimizer):
    """Adagrad: divides gradients by the root of the sum of all their squares.

    s <- s + g^2, and w <- w - a g / sqrt(s + e).

    Source: Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", 2011, section 1.1, equation 1.

    Args:
        learning_rate: a, as for `Optimizer`.
        initial_accumulator_value: The initial s.
        epsilon: e.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If ``initial_accumulator_value`` is negative, or as for `Optimizer`.

    >>> Adagrad(0.1)
    Adagrad(learning_rate=0.1)
    """

    slots: tuple[str, ...] = ("accumulator",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**Optimizer._among(locals()))
        self.initial_accumulator_value = check_number(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = check_number("epsilon", epsilon)
        self.initial = {"accumulator": self.initial_accumulator_value}

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step."""
        (s,) = state
        np.square(g, out=scratch)
        s += scratch
        np.add(s, max(self.epsilon, TINY), out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(g, scratch, out=scratch)
        scratch *= self.rate
        w -= scratch


@registry.register()
class Adadelta(Optimizer):
    """Adadelta: scales gradients by the ratio of recent step sizes to recent gradient sizes.

    s <- r s + (1 - r) g^2, d = g sqrt(u + e) / sqrt(s + e), u <- r u + (1 - r) d^2, and
    w <- w - a d.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1, where a is 1.

    Args:
        learning_rate: a, as for `Optimizer`.
        rho: r, in [0, 1).
        epsilon: e.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If ``rho`` is outside [0, 1), or as for `Optimizer`.

    >>> Adadelta(1.0)
    Adadelta(learning_rate=1.0)
    """

    slots: tuple[str, ...] = ("accumulated_grad", "accumulated_delta_var")
    paired = slots

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**Optimizer._among(locals()))
        self.rho = check_fraction("rho", rho)
        self.epsilon = check_number("epsilon", epsilon)
        self.scales = dict.fromkeys(self.slots, 1 - self.rho)

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step; s and u are stored over 1 - r, which saves two of fourteen passes."""
        s, u = state
        e = max(self.epsilon, TINY) / (1 - self.rho)
        s *= self.rho
        np.square(g, out=scratch)
        s += scratch
        np.add(u, e, out=scratch)
        np.sqrt(scratch, out=scratch)
        g *= scratch
        np.add(s, e, out=scratch)
        np.sqrt(scratch, out=scratch)
        g /= scratch
        u *= self.rho
        np.square(g, out=scratch)
        u += scratch
        g *= self.rate
        w -= g
