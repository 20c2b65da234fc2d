"""Adam and its variants."""

from __future__ import annotations

import math

import numpy as np

from nnlite.optimizers.optimizer import TINY, Optimizer, registry
from nnlite.optimizers.state import Rate
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, check_number


@registry.register()
class Adam(Optimizer):
    """Adam: gradient descent with running means of the gradient and of its square.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, and with
    a_t = a sqrt(1 - b2^t) / (1 - b1^t), w <- w - a_t m / (sqrt(v) + e). With ``amsgrad``, v
    is replaced by the largest v so far.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1 as
    reordered at the end of section 2; Reddi et al., "On the Convergence of Adam and Beyond", 2018.

    Args:
        learning_rate: a, as for `Optimizer`.
        beta_1: b1, in [0, 1).
        beta_2: b2, in [0, 1).
        epsilon: e, as in Kingma and Ba's section 2 ("epsilon hat").
        amsgrad: Whether to use the largest v so far.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If a beta is outside [0, 1), or as for `Optimizer`.

    >>> Adam(beta_2=0.99)
    Adam(beta_2=0.99)
    """

    slots: tuple[str, ...] = ("momentum", "velocity", "velocity_hat")
    paired = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon)
        self.amsgrad = bool(amsgrad)
        if not self.amsgrad:
            self.slots = ("momentum", "velocity")
        v = 1 - self.beta_2
        self.scales = {"momentum": 1 - self.beta_1, "velocity": v, "velocity_hat": v}

    def begin_step(self) -> None:
        """Compute a_t and e for the scaled moments."""
        t, root = self._count(), math.sqrt(1 - self.beta_2)
        correction = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        self._step_size = self.rate * correction * (1 - self.beta_1) / root
        self._scaled_epsilon = max(self.epsilon, math.sqrt(TINY)) / root

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step.

        The moments are stored as m / (1 - b1) and v / (1 - b2), which saves two of twelve passes
        (15 % of the time).
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


@registry.register("adamw")
class AdamW(Adam):
    """`Adam` with decoupled weight decay: w <- w - a d w before each step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.

    Args:
        learning_rate: a, as for `Optimizer`.
        weight_decay: d.
        beta_1, beta_2, epsilon, amsgrad: As for `Adam`.
        clipnorm to name: As for `Optimizer`.

    Raises:
        TypeError: If ``weight_decay`` is not a number.
        ValueError: If ``weight_decay`` is None, a beta is outside [0, 1), or as for `Optimizer`.

    >>> AdamW(weight_decay=0.1)
    AdamW(weight_decay=0.1)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("weight_decay must be a number. Received: weight_decay=None")
        super().__init__(**Adam._among(locals()))


@registry.register()
class Adamax(Optimizer):
    """Adam with an exponentially weighted maximum norm instead of the root mean square.

    m <- b1 m + (1 - b1) g, u <- max(b2 u, |g|), and w <- w - a m / ((1 - b1^t) (u + e)).

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 2.

    Args:
        learning_rate: a, as for `Optimizer`.
        beta_1: b1, in [0, 1).
        beta_2: b2, in [0, 1).
        epsilon: e.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If a beta is outside [0, 1), or as for `Optimizer`.

    >>> Adamax(beta_2=0.99)
    Adamax(beta_2=0.99)
    """

    slots: tuple[str, ...] = ("momentum", "norm")
    paired = slots

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon)
        self.scales = {"momentum": 1 - self.beta_1}

    def begin_step(self) -> None:
        """Compute a (1 - b1) / (1 - b1^t): the mean is stored as m / (1 - b1)."""
        self._step_size = self.rate * (1 - self.beta_1) / (1 - self.beta_1 ** self._count())

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step."""
        m, u = state
        m *= self.beta_1
        m += g
        u *= self.beta_2
        np.abs(g, out=scratch)
        np.maximum(u, scratch, out=u)
        np.add(u, max(self.epsilon, TINY), out=scratch)
        np.divide(m, scratch, out=scratch)
        scratch *= self._step_size
        w -= scratch


@registry.register()
class Nadam(Optimizer):
    """Adam with Nesterov momentum, which is increased gradually.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2. With b_t = b1 (1 - 0.96^t / 2) and p_t the
    product of b_1 to b_t, m' = b_(t+1) m / (1 - p_(t+1)) + (1 - b_t) g / (1 - p_t), and
    w <- w - a m' / (sqrt(v / (1 - b2^t)) + e).

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016, algorithm 2; b_t after
    Sutskever et al., 2013, with Keras's constant.

    Args:
        learning_rate: a, as for `Optimizer`.
        beta_1: b1, in [0, 1).
        beta_2: b2, in [0, 1).
        epsilon: e.
        weight_decay to name: As for `Optimizer`.

    Raises:
        ValueError: If a beta is outside [0, 1), or as for `Optimizer`.

    >>> Nadam(beta_2=0.99)
    Nadam(beta_2=0.99)
    """

    slots: tuple[str, ...] = ("momentum", "velocity")
    paired = slots
    scalars = ("u_product",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon)
        self.scales = {"momentum": 1 - self.beta_1, "velocity": 1 - self.beta_2}
        self.u_product = 1.0  # p_t

    def begin_step(self) -> None:
        """Compute the factors of m and g, and e, for the scaled moments."""
        t = self._count()
        now, after = (self.beta_1 * (1 - 0.96**step / 2) for step in (t, t + 1))
        self.u_product *= now
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**t))
        rate = self.rate / root
        self._mean_factor = rate * after * (1 - self.beta_1) / (1 - self.u_product * after)
        self._gradient_factor = rate * (1 - now) / (1 - self.u_product)
        self._scaled_epsilon = max(self.epsilon, math.sqrt(TINY)) / root

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Take one step; the moments are scaled as in `Adam`."""
        m, v = state
        m *= self.beta_1
        m += g
        v *= self.beta_2
        np.square(g, out=scratch)
        v += scratch
        g *= self._gradient_factor
        np.multiply(m, self._mean_factor, out=scratch)
        g += scratch
        np.sqrt(v, out=scratch)
        scratch += self._scaled_epsilon
        g /= scratch
        w -= g
