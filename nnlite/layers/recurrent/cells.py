"""Recurrent cells: the computation of one step of a sequence.

The arrays of a step have the batch in their last axis, so that a block of rows, such as a gate, is
contiguous. With x_t, 1 and h stacked in one column, a step needs a single product,
z = M (x_t, 1, h); M is made of the kernel W, the bias b and the recurrent kernel U.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite import constraints, initializers, regularizers
from nnlite.backend.numerics import constant
from nnlite.backend.structure_cache import invalidate
from nnlite.layers import activations
from nnlite.layers.activations import ActivationLayer, Identity, Sigmoid, Tanh
from nnlite.layers.layer import Layer, Shape, registry
from nnlite.layers.random_layer import RandomLayer
from nnlite.symbolic import any_symbolic
from nnlite.utils.overrides import overridden
from nnlite.utils.structures import flatten
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count, check_fraction

__all__ = ["GRUCell", "LSTMCell", "RecurrentCell", "SimpleRNNCell", "StackedRNNCells"]


_NONE = np.empty(0)  # no gates

#: A block of rows of M: the block of the kernels' columns, and whether W and U are in it.
Row = tuple[int, bool, bool]


class RecurrentCell(RandomLayer):
    """Base class of cells whose states have ``units`` entries; the first is the output.

    See `SimpleRNNCell` for the arguments.
    """

    #: The number of blocks of columns in the kernels, of states, and of arrays that `step` keeps.
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    kept: ClassVar[int] = 1

    rows: Sequence[Row] = ((0, True, True),)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("implementation", None)
        super().__init__(**kwargs)
        self.units = check_count("units", units, 1)
        self.activation = self._activation("activation", activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed_with(seed)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("dropout", "recurrent_dropout"):
            value = check_fraction(name, value)
            invalidate()  # the arrays of a step depend on it
        super().__setattr__(name, value)

    def _activation(self, name: str, value: Any) -> Layer:
        layer = activations.get(value, self.dtype)
        shape = (None, self.units)
        known = isinstance(layer, (ActivationLayer, Identity))
        known = known and not overridden(type(layer), "forward", "backward")
        if not known or layer.compute_output_shape(shape) != shape:
            raise ValueError(
                f"{name} of a recurrent layer must be a function without weights that keeps the "
                f"shape. Received: {name}={value!r}"
            )
        return layer

    @property
    def state_size(self) -> int | list[int]:
        """The size of the state, or a list of sizes for several states."""
        return self.units if self.states == 1 else [self.units] * self.states

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    def sublayers(self) -> Sequence[Layer]:
        """Return the activation."""
        return (self.activation,)

    def build(self, input_shape: Shape) -> None:
        """Add the kernels and the bias."""
        if len(input_shape) != 2:
            raise ValueError(
                f"Cell {self.name!r} expects an input of shape (batch, features). Received: "
                f"input_shape={input_shape}"
            )
        columns = self.gates * self.units
        self.kernel = self.add_weight(
            "kernel",
            (input_shape[-1], columns),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            "recurrent_kernel",
            (self.units, columns),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                self._bias_shape(),
                self._begin_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _begin_bias(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return (self.bias_initializer or initializers.Zeros())(shape, dtype=dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, units)."""
        return (input_shape[0], self.units)

    def __call__(self, x: Any, states: Any = None, training: bool | None = None) -> Any:  # type: ignore[override]
        """Return the output for one step of a batch, and the list of new states.

        Args:
            x: Inputs of shape (batch, features), an array; in a model, use `RNN`.
            states: The states before the step, of shape (batch, units) each; 0 by default.
            training: Whether to apply dropout.
        """
        if any_symbolic([x, states]):
            raise TypeError(f"Cell {self.name!r} takes arrays. In a model, use RNN(cell).")
        x = self._as_array(x)
        self.ensure_built((None, *x.shape[1:]))
        u, batch, features = self.units, len(x), x.shape[1]
        given = flatten(states) if isinstance(states, (list, tuple)) else [states]
        before = [self._as_array(s).T if s is not None else np.zeros((u, batch)) for s in given]
        before = (before * 2)[: self.states]
        column = np.concatenate([x.T, np.ones((1, batch)), before[0]]).astype(self.dtype)
        dropped = np.ones_like(column)
        if training:
            self.draw(dropped, features)
            column *= dropped
        matrix = np.empty((len(self.rows) * u, len(column)), self.dtype)
        self.fill(matrix)
        after = [np.empty((u, batch), self.dtype) for _ in range(self.states)]
        z = (matrix @ column).reshape(-1, u, batch)
        a = np.empty((self.kept, u, batch), self.dtype)
        h, c, new_h, new_c = before[0], before[-1], after[0], after[-1]
        arrays = (z, a, h, c, new_h, new_c, column[features + 1 :])
        self.step(*(part[0] for part in self.parts(*(array[None] for array in arrays))))
        made = [np.array(state.T) for state in after]
        return made[0], made

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, activations by name if they have one."""
        config = super().get_config()
        for name in ("activation", "recurrent_activation"):
            if name in config:
                config[name] = activations.serialize(getattr(self, name))
        return config

    # ---- the matrix of a step -------------------------------------------------------------

    def fill(self, matrix: Array) -> None:
        """Write M for the current weights."""
        features = len(self.kernel.value)
        for block, at, x, h in self._blocks():
            rows = matrix[block]
            rows[:, :features] = self.kernel.value[:, at].T if x else 0
            rows[:, features + 1 :] = self.recurrent_kernel.value[:, at].T if h else 0
            rows[:, features] = sum(bias[at] for bias in self._biases("value", x, h))

    def columns(self) -> tuple[Array, Array]:
        """Return W^T and U^T of M, without the blocks of zeros: all but the first or last."""
        blocks = self._blocks()
        w = [self.kernel.value[:, at] for _, at, x, _ in blocks if x]
        u = [self.recurrent_kernel.value[:, at] for _, at, _, h in blocks if h]
        return np.concatenate(w, axis=1), np.concatenate(u, axis=1)

    def take_gradient(self, gradient: Array) -> None:
        """Fill the gradients of the weights from dJ/dM."""
        features = len(self.kernel.value)
        for block, at, x, h in self._blocks():
            rows = gradient[block]
            if x:
                self.kernel.gradient[:, at] = rows[:, :features].T
            if h:
                self.recurrent_kernel.gradient[:, at] = rows[:, features + 1 :].T
            for bias in self._biases("gradient", x, h):
                bias[at] = rows[:, features]

    def _blocks(self) -> list[tuple[slice, slice, bool, bool]]:
        """Return the slices of each block of rows in M and in the kernels."""
        u = self.units
        return [
            (slice(at * u, (at + 1) * u), slice(column * u, (column + 1) * u), x, h)
            for at, (column, x, h) in enumerate(self.rows)
        ]

    def _biases(self, of: str, x: bool, h: bool) -> list[Array]:
        """Return the vectors added to a block."""
        return [getattr(self.bias, of)] if self.use_bias and x else []

    def draw(self, dropped: Array, features: int) -> None:
        """Draw the factors of dropout for the columns (x_t, 1, h) of a batch: 0 or 1 / kept."""
        dropped.fill(1)
        parts = (dropped[:features], dropped[features + 1 :])
        for part, rate in zip(parts, (self.dropout, self.recurrent_dropout), strict=True):
            if rate:
                np.divide(self.generator.random(part.shape) >= rate, 1 - rate, out=part)

    # ---- a step ---------------------------------------------------------------------------

    def parts(self, *arrays: Array) -> tuple[Array, ...]:
        """Return the arrays of several steps as `step` and `step_back` take them of one.

        NumPy takes as long for a view of a step as for a third of a small operation.

        Args:
            *arrays: ``z``, which is M (x_t, 1, h) in blocks of ``units`` rows and may be written
                over; ``a``, whose ``kept`` blocks are for the backward pass; ``h`` and ``c``, the
                states before; ``new_h`` and ``new_c``, for those after (``c`` has no rows in a cell
                with one state); and ``dropped_h``, the h that M was multiplied by.
        """
        return arrays

    def step(self, *parts: Array) -> None:
        """Write the states after a step, given its `parts`."""
        raise NotImplementedError

    def prepare_back(self, z: Array, a: Array) -> None:
        """Compute derivatives for `step_back`, given the arrays of several steps."""

    def step_back(
        self, dh: Array, dc: Array, work: Array, *parts: Array
    ) -> tuple[Array | None, Array | None]:
        """Run the backward pass of `step`: write dJ/dz over ``z`` and dJ/dc over ``dc``.

        The parts of dJ/dh that do not come through M are returned, if there are any: that through
        ``h``, and that through ``dropped_h``. ``dh`` may be written over.

        Args:
            dh: dJ/dh_t.
            dc: dJ/dc_t.
            work: Memory as large as ``a``.
            *parts: The step's `parts`.
        """
        raise NotImplementedError

    def take_further_gradient(self, z: Array, a: Array) -> None:
        """Add the gradients that do not come through M, given the arrays of all steps."""

    def _apply(self, function: Any, z: Array, a: Array) -> None:
        """Write an activation of the blocks of ``z`` into ``a``, features last."""
        if isinstance(function, Identity):
            np.copyto(a, z)
            return
        for block, into in zip(z, a, strict=True):
            function.forward_into(block.T, into.T)

    def _chain(self, function: Any, d: Array, z: Array, a: Array) -> None:
        """Write the backward pass of `_apply` over ``z``."""
        if isinstance(function, Identity):
            np.copyto(z, d)
            return
        for given, block, made in zip(d, z, a, strict=True):
            found = np.empty_like(block)
            function.backward_into(given.T, block.T, made.T, found.T)
            block[...] = found


@registry.register()
class SimpleRNNCell(RecurrentCell):
    """The cell of a `SimpleRNN`: h_t = g(x_t W + h_{t-1} U + b).

    Source: Elman, "Finding Structure in Time", 1990.

    Args:
        units: The number of outputs.
        activation: g, as a name or a layer.
        use_bias: Whether to add b.
        kernel_initializer: Initializer of W, of shape (inputs, units).
        recurrent_initializer: Initializer of U, of shape (units, units).
        bias_initializer: Initializer of b, of shape (units,).
        kernel_regularizer: A penalty on W, added to the loss.
        recurrent_regularizer: A penalty on U.
        bias_regularizer: A penalty on b.
        kernel_constraint: A projection of W after each update.
        recurrent_constraint: A projection of U after each update.
        bias_constraint: A projection of b after each update.
        dropout: The fraction of the inputs dropped in training, the same in all steps.
        recurrent_dropout: The same for h_{t-1}.
        seed: Seed of the draws.
        **kwargs: As for `Layer`.

    >>> cell = SimpleRNNCell(1, kernel_initializer="ones", recurrent_initializer="ones")
    >>> output, states = cell(np.array([[0.5]]), [np.array([[0.5]])])
    >>> output
    array([[0.7615942]], dtype=float32)
    """

    kept = 0

    def parts(self, *arrays: Array) -> tuple[Array, ...]:
        """Return z and h_t as a block."""
        z, _, _, _, new_h, _, _ = arrays
        return z, new_h[:, None]

    def step(self, *parts: Array) -> None:
        """Write g(z)."""
        self._apply(self.activation, *parts)

    def step_back(
        self, dh: Array, dc: Array, work: Array, *parts: Array
    ) -> tuple[Array | None, Array | None]:
        """Write dJ/dz = dJ/dh_t g'(z)."""
        self._chain(self.activation, dh[None], *parts)
        return None, None


class _GatedCell(RecurrentCell):
    """Base class of cells with gates: blocks whose activation is between 0 and 1.

    With the usual activations, sigmoid(z) = (1 + tanh(z / 2)) / 2, which never overflows; z / 2
    comes from M, and ``z`` holds the derivatives of all steps before the first step back.
    """

    #: The blocks of M that are gates.
    gated: ClassVar[slice]

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, *args, **kwargs)
        self.recurrent_activation = self._activation("recurrent_activation", recurrent_activation)
        usual = (type(self.activation), type(self.recurrent_activation)) == (Tanh, Sigmoid)
        self._by_tanh = usual

    def sublayers(self) -> Sequence[Layer]:
        """Return the activations."""
        return (self.activation, self.recurrent_activation)

    def fill(self, matrix: Array) -> None:
        """Write M, with half of the rows of gates if `_apply_both` takes z / 2 for them."""
        super().fill(matrix)
        if self._by_tanh:
            matrix.reshape(len(self.rows), self.units, -1)[self.gated] *= 0.5

    def _apply_both(self, z: Array, a: Array, gates: Array) -> None:
        """Write the activations of blocks of ``z`` into ``a``, which begins with ``gates``."""
        n = len(gates)
        if not self._by_tanh:
            self._apply(self.recurrent_activation, z[:n], a[:n])
            self._apply(self.activation, z[n:], a[n:])
            return
        np.tanh(z, a)
        if n:
            half = constant(0.5, gates.dtype)
            np.multiply(gates, half, gates)
            np.add(gates, half, gates)

    def _derive(self, z: Array, a: Array, gates: int) -> None:
        """Write the derivatives of `_apply_both` over ``z`` for several steps, if they are simple.

        They are a (1 - a) for the sigmoid and 1 - a^2 for tanh.
        """
        if self._by_tanh:
            a = a.swapaxes(0, 1)
            z = z.swapaxes(0, 1)
            np.subtract(1, a[:gates], z[:gates])
            np.multiply(z[:gates], a[:gates], z[:gates])
            np.multiply(a[gates:], a[gates:], z[gates:])
            np.subtract(1, z[gates:], z[gates:])

    def _chain_both(self, d: Array, z: Array, a: Array, gates: int) -> None:
        """Write the backward pass of `_apply_both` over ``z``, which `_derive` prepared."""
        if self._by_tanh:
            np.multiply(z, d, z)
        else:
            self._chain(self.recurrent_activation, d[:gates], z[:gates], a[:gates])
            self._chain(self.activation, d[gates:], z[gates:], a[gates:])


@registry.register()
class LSTMCell(_GatedCell):
    """The cell of an `LSTM`: long short-term memory.

    With s the recurrent activation and g the activation, i, f and o = s(x_t W + h_{t-1} U + b),
    each with its own columns, c_t = f c_{t-1} + i g(x_t W + h_{t-1} U + b), and h_t = o g(c_t). The
    columns of W, U and b are in the order i, f, c, o.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers et al., "Learning to
    Forget", 2000.

    Args:
        units: The number of outputs.
        activation: g, as a name or a layer.
        recurrent_activation: s, as a name or a layer.
        use_bias: As for `SimpleRNNCell`, like the initializers; W, U and b have 4 units columns.
        kernel_initializer: As for `SimpleRNNCell`.
        recurrent_initializer: As for `SimpleRNNCell`.
        bias_initializer: As for `SimpleRNNCell`.
        unit_forget_bias: Whether b of the gate f is initialized with 1.
        *args: The arguments that follow in `SimpleRNNCell`, in that order.
        **kwargs: As for `SimpleRNNCell`.

    >>> cell = LSTMCell(2)
    >>> output, (h, c) = cell(np.ones((3, 4)), [np.zeros((3, 2)), np.zeros((3, 2))])
    >>> output.shape, cell.state_size
    ((3, 2), [2, 2])
    """

    gates = 4
    states = 2
    kept = 6  # i, f, o, g of x_t and h, g(c_t), and what dJ/dh_t is multiplied by for dJ/dc_t
    gated = slice(0, 3)
    rows = ((0, True, True), (1, True, True), (3, True, True), (2, True, True))

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            *args,
            **kwargs,
        )
        self.unit_forget_bias = bool(unit_forget_bias)

    def _begin_bias(self, shape: Sequence[int], dtype: Any = None) -> Any:
        bias = np.array(super()._begin_bias(shape, dtype=dtype))
        if self.unit_forget_bias:
            bias[self.units : 2 * self.units] = 1
        return bias

    def parts(self, *arrays: Array) -> tuple[Array, ...]:
        """Return the blocks, and those of the activations."""
        z, a, _, c, new_h, new_c, _ = arrays
        block = new_c[:, None]
        return (*a.swapaxes(0, 1), z, a[:, :4], a[:, :3], a[:, 4:5], c, new_c, block, new_h)

    def step(self, *parts: Array) -> None:
        """Write c_t = f c_{t-1} + i g and h_t = o g(c_t)."""
        i, f, o, g, tanh_c, _, z, blocks, gates, last, c, new_c, new_block, new_h = parts
        self._apply_both(z, blocks, gates)
        np.multiply(f, c, new_c)
        np.multiply(i, g, tanh_c)
        np.add(new_c, tanh_c, new_c)
        self._apply_both(new_block, last, _NONE)
        np.multiply(o, tanh_c, new_h)

    def prepare_back(self, z: Array, a: Array) -> None:
        """Write the derivatives over ``z``, and o g'(c_t) beside them, if they are simple."""
        self._derive(z, a[:, :4], 3)
        if self._by_tanh:
            self._derive(a[:, 5:], a[:, 4:5], 0)
            np.multiply(a[:, 5], a[:, 2], a[:, 5])

    def step_back(
        self, dh: Array, dc: Array, work: Array, *parts: Array
    ) -> tuple[Array | None, Array | None]:
        """Write dJ/dz, and dJ/dc_{t-1} = (dJ/dc_t + dJ/dh_t o g'(c_t)) f."""
        i, f, o, g, tanh_c, through, z, blocks, _, last, c, new_c, *_ = parts
        di, df, do, dg = work[0], work[1], work[2], work[3]
        np.multiply(dh, tanh_c, do)
        if self._by_tanh:
            np.multiply(through, dh, through)
        else:
            np.copyto(through, new_c)
            self._chain(self.activation, (dh * o)[None], through[None], last)
        np.add(dc, through, dc)
        np.multiply(dc, g, di)
        np.multiply(dc, c, df)
        np.multiply(dc, i, dg)
        np.multiply(dc, f, dc)
        self._chain_both(work[:4], z, blocks, 3)
        return None, None


@registry.register()
class GRUCell(_GatedCell):
    """The cell of a `GRU`: gated recurrent unit.

    With s the recurrent activation and g the activation, z and r = s(x_t W + h_{t-1} U + b), each
    with its own columns; n = g(x_t W + r (h_{t-1} U + b_r) + b), or in the original variant,
    ``reset_after=False``, n = g(x_t W + (r h_{t-1}) U + b); and h_t = z h_{t-1} + (1 - z) n. The
    columns of W, U and b are in the order z, r, n.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    Args:
        units: The number of outputs.
        activation: g, as a name or a layer.
        recurrent_activation: s, as a name or a layer.
        *args: The arguments from ``use_bias`` on, as for `SimpleRNNCell`. W, U and b have 3 units
            columns; b is of shape (2, 3 units), for x_t W and for h U, or with
            ``reset_after=False`` of shape (3 units,).
        reset_after: Whether r multiplies h U instead of h.
        **kwargs: As for `SimpleRNNCell`.

    >>> GRUCell(2)(np.ones((3, 4)), np.zeros((3, 2)))[0].shape
    (3, 2)
    """

    gates = 3
    kept = 5  # z, r, n, r h, and h - n
    gated = slice(-3, -1)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *args: Any,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, recurrent_activation, *args, **kwargs)
        self.reset_after = bool(reset_after)
        rows: Sequence[Row] = ((0, True, True), (1, True, True), (2, True, False))
        self.rows = ((2, False, True), *rows) if self.reset_after else rows

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _biases(self, of: str, x: bool, h: bool) -> list[Array]:
        if not self.use_bias or not self.reset_after:
            return super()._biases(of, x, h)
        return [bias for bias, added in zip(getattr(self.bias, of), (x, h), strict=True) if added]

    def _candidate_kernel(self) -> slice:
        return slice(2 * self.units, 3 * self.units)

    def parts(self, *arrays: Array) -> tuple[Array, ...]:
        """Return the blocks, and those of the activations."""
        z, a, h, _, new_h, _, dropped_h = arrays
        both, last = (z[:, -3:-1], a[:, :2]), (z[:, -1:], a[:, 2:3])
        return (*a.swapaxes(0, 1), z[:, 0], z[:, -1], *both, *last, h, new_h, dropped_h)

    def step(self, *parts: Array) -> None:
        """Write h_t = n + z (h_{t-1} - n)."""
        update, reset, n, product, difference, of_h, before, z, gates, last, block = parts[:11]
        h, new_h, dropped_h = parts[11:]
        self._apply_both(z, gates, gates)
        if self.reset_after:
            np.multiply(reset, of_h, product)
        else:
            np.multiply(reset, dropped_h, product)
            product = self.recurrent_kernel.value[:, self._candidate_kernel()].T.dot(product)
        np.add(before, product, before)
        self._apply_both(last, block, _NONE)
        np.subtract(h, n, difference)
        np.multiply(difference, update, new_h)
        np.add(new_h, n, new_h)

    def prepare_back(self, z: Array, a: Array) -> None:
        """Write the derivatives over ``z``."""
        self._derive(z[:, -3:], a[:, :3], 2)

    def step_back(
        self, dh: Array, dc: Array, work: Array, *parts: Array
    ) -> tuple[Array | None, Array | None]:
        """Write dJ/dz, and return dJ/dh_t z, the direct part of dJ/dh_{t-1}."""
        update, reset, _, _, difference, of_h, before, z, gates, last, block, *_ = parts
        dupdate, dreset, dn, direct = work[0], work[1], work[2], work[3]
        np.multiply(dh, difference, dupdate)
        np.multiply(dh, update, direct)
        np.subtract(dh, direct, dn)
        self._chain_both(work[2:3], last, block, 0)
        further = None
        if self.reset_after:
            np.multiply(before, of_h, dreset)
            np.multiply(before, reset, of_h)
        else:
            further = self.recurrent_kernel.value[:, self._candidate_kernel()].dot(before)
            np.multiply(further, parts[-1], dreset)
            np.multiply(further, reset, further)
        self._chain_both(work[:2], z, gates, 2)
        return direct, further

    def take_further_gradient(self, z: Array, a: Array) -> None:
        """Fill dJ/dU of n with the sum of (r h) dJ/dn, if r multiplies h."""
        if not self.reset_after:
            gradient = np.tensordot(a[:, 3], z[:, -1], ((0, 2), (0, 2)))
            self.recurrent_kernel.gradient[:, self._candidate_kernel()] = gradient


@registry.register()
class StackedRNNCells(Layer):
    """A stack of cells: each takes the output of the one before.

    Args:
        cells: The cells.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If there are no cells, or one is not a cell of this package.

    >>> cells = StackedRNNCells([GRUCell(3), LSTMCell(2)])
    >>> cells.state_size, cells.output_size
    ([3, [2, 2]], 2)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        listed = list(cells) if isinstance(cells, (list, tuple)) else []
        self.cells = [check_cell(cell) for cell in listed]
        if not self.cells:
            raise ValueError(f"cells must be a list of cells. Received: cells={cells!r}")

    @property
    def state_size(self) -> list[Any]:
        """The size of each cell's state, or a list if it has several."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The size of the last cell's output."""
        return self.cells[-1].units

    def sublayers(self) -> Sequence[Layer]:
        """Return the cells."""
        return self.cells

    def build(self, input_shape: Shape) -> None:
        """Build each cell for the output of the one before."""
        for cell in self.cells:
            cell.ensure_built(input_shape)
            input_shape = cell.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, units) of the last cell."""
        return (input_shape[0], self.output_size)


def check_cell(cell: Any) -> Any:
    """Return a cell of this package, given as such or as plain data.

    Raises:
        ValueError: If it is anything else.
    """
    cell = registry.deserialize(cell) if isinstance(cell, Mapping) else cell
    if isinstance(cell, RecurrentCell) and type(cell).__module__.startswith("nnlite."):
        return cell
    raise ValueError(
        "cell must be a SimpleRNNCell, an LSTMCell, a GRUCell or a list of them: your own cells "
        f"do not have a derivative here. Received: {cell!r} (of type {type(cell).__name__})"
    )
