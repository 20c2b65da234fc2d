"""The update rules, each the shortest true statement of its paper, in place on a slice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import check_fraction, check_number
from nnlite.optimizers.optimizer import Optimizer, registry

__all__ = ["SGD", "Adam", "RMSprop"]

Array = NDArray[Any]


@registry.register()
class SGD(Optimizer):
    """Gradient descent: w <- w - a g, for learning rate a and gradient g.

    With momentum r, the velocity v <- r v - a g, and w <- w + v; with Nesterov's correction
    w <- w + r v - a g instead.

    Source: Sutskever et al., "On the Importance of Initialization and Momentum in Deep
    Learning", 2013, section 2.

    Args:
        learning_rate: a.
        momentum: r, in [0, 1].
        nesterov: Whether to use Nesterov's correction.
        weight_decay: As for `Optimizer`.
        clipnorm: As for `Optimizer`.
        clipvalue: As for `Optimizer`.
        global_clipnorm: As for `Optimizer`.
        name: As for `Optimizer`.

    Raises:
        ValueError: If ``momentum`` is outside [0, 1], or as for `Optimizer`.

    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    slots: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.momentum = check_fraction("momentum", momentum, including_one=True)
        self.nesterov = bool(nesterov)
        if not self.momentum:
            self.slots = ()

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """W <- w - a g, or with momentum as the class says."""
        np.multiply(g, self._learning_rate, out=scratch)
        if state:
            (v,) = state
            v *= self.momentum
            v -= scratch
            if not self.nesterov:
                w += v
                return
            w -= scratch
            np.multiply(v, self.momentum, out=scratch)
            w += scratch
            return
        w -= scratch


@registry.register("rmsprop", "RMSProp")
class RMSprop(Optimizer):
    """Gradient descent on gradients divided by a running root of their mean square.

    s <- r s + (1 - r) g^2, and w <- w - a g / sqrt(s + e); centered, s is less the square of the
    running mean of g; with momentum p, v <- p v + (that step), and w <- w - v.

    Source: Tieleman and Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; Graves, "Generating
    Sequences With Recurrent Neural Networks", 2013, equations 38 to 41 (centered).

    Args:
        learning_rate: a.
        rho: r, in [0, 1).
        momentum: p, in [0, 1).
        epsilon: e.
        centered: Whether to divide by the running standard deviation.
        weight_decay: As for `Optimizer`.
        clipnorm: As for `Optimizer`.
        clipvalue: As for `Optimizer`.
        global_clipnorm: As for `Optimizer`.
        name: As for `Optimizer`.

    Raises:
        ValueError: If ``rho`` or ``momentum`` is outside [0, 1), or as for `Optimizer`.

    >>> RMSprop(rho=0.95)
    RMSprop(rho=0.95)
    """

    slots: tuple[str, ...] = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.rho = check_fraction("rho", rho)
        self.momentum = check_fraction("momentum", momentum)
        self.epsilon = check_number("epsilon", epsilon)
        self.centered = bool(centered)
        kept = {"velocity": True, "momentum": bool(momentum), "average_gradient": self.centered}
        self.slots = tuple(slot for slot, needed in kept.items() if needed)

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """One step, as the class says."""
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
            scratch += self.epsilon
        else:
            np.add(s, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(g, scratch, out=scratch)
        scratch *= self._learning_rate
        if self.momentum:
            v = more[0]
            v *= self.momentum
            v += scratch
            w -= v
        else:
            w -= scratch


@registry.register()
class Adam(Optimizer):
    """Gradient descent on running means of the gradient and of its square.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, and with
    a_t = a sqrt(1 - b2^t) / (1 - b1^t), w <- w - a_t m / (sqrt(v) + e). With ``amsgrad``, the
    largest v so far takes the place of v.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1 in the
    form of the end of section 2; Reddi et al., "On the Convergence of Adam and Beyond", 2018.

    Args:
        learning_rate: a.
        beta_1: b1, in [0, 1).
        beta_2: b2, in [0, 1).
        epsilon: e, as in Kingma and Ba's section 2 ("epsilon hat").
        amsgrad: Whether v never falls.
        weight_decay: As for `Optimizer`.
        clipnorm: As for `Optimizer`.
        clipvalue: As for `Optimizer`.
        global_clipnorm: As for `Optimizer`.
        name: As for `Optimizer`.

    Raises:
        ValueError: If a beta is outside [0, 1), or as for `Optimizer`.

    >>> Adam(beta_2=0.99)
    Adam(beta_2=0.99)
    """

    slots: tuple[str, ...] = ("momentum", "velocity", "velocity_hat")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon)
        self.amsgrad = bool(amsgrad)
        if not self.amsgrad:
            self.slots = ("momentum", "velocity")

    def begin_step(self) -> None:
        """Compute a_t and e for the moments as they are kept."""
        t, root = self.iterations, math.sqrt(1 - self.beta_2)
        correction = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        self._step_size = self._learning_rate * correction * (1 - self.beta_1) / root
        self._scaled_epsilon = self.epsilon / root

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """One step, as the class says.

        The moments are kept as m / (1 - b1) and v / (1 - b2), which spares two of twelve passes:
        15 % of the time.
        """
        m, v, *v_hat = state
        m *= self.beta_1
        m += g
        v *= self.beta_2
        np.square(g, out=scratch)
        v += scratch
        if v_hat:
            v = np.maximum(v_hat[0], v, out=v_hat[0])
        np.sqrt(v, out=scratch)
        scratch += self._scaled_epsilon
        np.divide(m, scratch, out=scratch)
        scratch *= self._step_size
        w -= scratch
