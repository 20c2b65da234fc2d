"""Recurrent layers: a cell run over the steps of a sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nnlite.backend.blas import threads_for
from nnlite.layers import activations
from nnlite.layers.layer import Layer, Shape, Shapes, registry
from nnlite.layers.recurrent.cells import (
    GRUCell,
    LSTMCell,
    RecurrentCell,
    SimpleRNNCell,
    StackedRNNCells,
    check_cell,
)
from nnlite.symbolic import any_symbolic
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array

__all__ = ["GRU", "LSTM", "RNN", "SimpleRNN"]


@registry.register()
class RNN(Layer):
    """A cell run over the steps of a sequence.

    A masked step keeps the states, and repeats the output of the step before. The backward pass
    goes through all steps (Werbos, "Back-Propagation Through Time: What It Does and How to Do It",
    1990).

    Args:
        cell: A `SimpleRNNCell`, an `LSTMCell`, a `GRUCell`, or a list of them, which are stacked.
        return_sequences: Whether to return the output of every step, of shape (batch, steps,
            units), instead of the last one.
        return_state: Whether to return the last states as well.
        go_backwards: Whether to process, and to return, the steps from the last to the first.
        stateful: Whether a batch begins with the last states of the one before, also in
            predictions; `reset_state` sets them to 0.
        unroll: Accepted for compatibility with Keras and ignored.
        zero_output_for_mask: Whether the output of a masked step is 0.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``cell`` is anything else.

    >>> x = np.ones((2, 5, 3))
    >>> RNN([LSTMCell(4), GRUCell(2)], return_sequences=True)(x).shape
    (2, 5, 2)
    >>> output, h, c = LSTM(4, return_state=True)(x)
    >>> output.shape, c.shape
    ((2, 4), (2, 4))
    """

    supports_masking = True
    takes_several = True
    masks_one = True  # as in Keras: with initial states, masks are ignored
    call_options = ("sequences", "initial_state")

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("time_major", False):  # files of Keras 2 have it
            raise ValueError(
                f"{type(self).__name__} expects sequences of shape (batch, steps, features). "
                "Received: time_major=True"
            )
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell, dtype=self.dtype)
        self.cell: Any = cell if isinstance(cell, StackedRNNCells) else check_cell(cell)
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        #: The last states of the last batch, in order, if the layer is stateful.
        self.states: list[Array] | None = None
        self._runs = {training: _Run(self, training) for training in (False, True)}

    def _cells(self) -> list[RecurrentCell]:
        """Return the cells from the first to the last."""
        return self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]

    @property
    def state_size(self) -> list[Any]:
        """The size of each state."""
        size = self.cell.state_size
        return size if isinstance(size, list) else [size]

    def sublayers(self) -> Sequence[Layer]:
        """Return the cell."""
        return (self.cell,)

    def ensure_built(self, input_shape: Shapes) -> None:
        """Build the layer for sequences, with or without initial states."""
        super().ensure_built(_of_sequence(self, input_shape))

    def build(self, input_shape: Shape) -> None:
        """Build the cell."""
        self.cell.ensure_built((input_shape[0], *input_shape[2:]))
        for run in self._runs.values():
            run._variables = self.cell.all_variables()

    def takes(self, input_shape: Shapes) -> bool:
        """Return whether the cell is built for that number of features."""
        if not self.built:
            return True  # `build` refuses what does not fit
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        return len(shape) == 3 and self.cell.takes((shape[0], shape[2]))

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return (batch, units) or (batch, steps, units), or a list with the states' shapes."""
        batch, steps, _ = _of_sequence(self, input_shape)
        units = self.cell.output_size
        output: Shape = (batch, steps, units) if self.return_sequences else (batch, units)
        if not self.return_state:
            return output
        return [output, *((batch, size) for size in flatten(self.state_size))]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask if the output is a sequence, else None; with states a list."""
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *[None] * len(flatten(self.state_size))] if self.return_state else mask

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the primitive layer that runs the cells."""
        return (self._runs[training],)

    def reset_state(self) -> None:
        """Set the states with which the next batch begins to 0."""
        self.states = None

    reset_states = reset_state

    def _kept_states(self, batch: int) -> list[Array]:
        """Return the states of the last batch; an empty list for 0.

        Raises:
            ValueError: If the batch size has changed.
        """
        if self.states is not None and len(self.states[0]) != batch:
            raise ValueError(
                f"Layer {self.name!r} is stateful: its states belong to a batch of "
                f"{len(self.states[0])} sequences. Received: a batch of {batch}. Call "
                "reset_state() first, and give batches of equal size."
            )
        return list(self.states or ())

    def __call__(
        self,
        x: Any,
        training: bool | None = None,
        mask: Any = None,
        initial_state: Any = None,
    ) -> Any:
        """Return the output for sequences.

        Args:
            x: A batch of shape (batch, steps, features), or a tensor.
            training: As for `Layer`.
            mask: Which steps count, of shape (batch, steps).
            initial_state: The first states, of shape (batch, units) each; 0 by default.

        Raises:
            ValueError: If the number of states or a shape does not fit.
        """
        x, states = states_beside(self, x, initial_state, flatten(self.state_size))
        if states and any_symbolic([x, *states]):
            return self.on_tensors((x, *states), training)
        return super().__call__([x, *states] if states else x, training, mask)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "states": None}


def states_beside(
    layer: Layer, x: Any, initial_state: Any, sizes: Sequence[int]
) -> tuple[Any, list[Any]]:
    """Return the sequences and the initial states of a call, if any.

    Raises:
        ValueError: If the states do not have the given ``sizes``.
    """
    states = [] if initial_state is None else flatten(initial_state)
    if isinstance(x, (list, tuple)) and not states:
        parts = [part for part in x if part is not None]
        if all(hasattr(part, "shape") for part in parts):
            x, *states = parts
    wanted = [(*np.shape(x)[:1], size) for size in sizes]
    shapes = [np.shape(state) for state in states]
    if states and not (
        [shape[1:] for shape in shapes] == [shape[1:] for shape in wanted]
        and len({shape[0] for shape in (*shapes, *wanted)} - {None}) <= 1
    ):
        raise ValueError(
            f"initial_state of layer {layer.name!r} must have the shapes {wanted}. "
            f"Received: {shapes}"
        )
    return x, states


def _of_sequence(layer: Layer, input_shape: Any) -> Any:
    """Return the shape of the sequences among the shapes of inputs.

    Raises:
        ValueError: If it is not (batch, steps, features).
    """
    shape = input_shape[0] if isinstance(input_shape, list) else input_shape
    if len(shape) != 3:
        raise ValueError(
            f"Layer {layer.name!r} expects an input of shape (batch, steps, features). Received: "
            f"input_shape={shape}"
        )
    return shape


class _Steps(NamedTuple):
    """The arrays of one cell for all steps, the batch in the last axis."""

    xh: Array  # the columns (x_t, 1, h_{t-1}), of shape (steps + 1, rows, batch)
    h: Array  # the initial state, then the outputs
    c: Array  # the second state, also from the initial one; no rows if a cell has none
    z: Array  # M times the columns, in blocks of rows; in the backward pass dJ/dz
    a: Array  # what the cell keeps of each step, in blocks
    matrix: Array  # M
    dropped: Array  # the factors of dropout for the columns, in training
    d: Array  # dJ/dx_t of all steps, in the backward pass
    views: list[tuple[Array, Array, tuple[Array, ...]]]  # see `_Run._views`


class _Run(Layer):
    """Runs the cells of a layer over all steps, one cell after the other.

    A forward step is one product with the cell's matrix M, a backward step one with M^T; the
    gradient of M is one product over all steps.

    Args:
        owner: The layer.
        training: Whether to apply dropout.
    """

    supports_masking = True

    def __init__(self, owner: RNN, training: bool) -> None:
        super().__init__(dtype=owner.dtype)
        self._owner = owner
        self._training = training
        self.mask_outputs = int(owner.return_sequences)

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return the layer's `takes`."""
        return self._owner.compute_output_shape(input_shape)

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the layer's output shape."""
        return self._owner.dtype

    def output_shape_for(self, x: Any) -> Shapes:
        """Return the shapes of the outputs for the arrays ``x``."""
        return self.compute_output_shape(map_structure(np.shape, x))

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return one array for the memory of all cells, and one that keeps their views."""
        sizes = [math.prod(one) for shapes in self._shapes(shape) for one in shapes]
        return {"work": ((sum(sizes),), self._owner.dtype), "kept": ((1,), object)}

    def _shapes(self, shape: Any) -> list[list[tuple[int, ...]]]:
        """Return the shapes of each cell's `_Steps`."""
        batch, steps, features = shape[0] if isinstance(shape, list) else shape
        found = []
        for cell in self._owner._cells():
            u = cell.units
            columns = features + 1 + u
            drops = self._training and (cell.dropout or cell.recurrent_dropout)
            found.append(
                [
                    (steps + 1, columns, batch),
                    (steps + 1, u if drops else 0, batch),
                    (steps + 1, (cell.states - 1) * u, batch),
                    (steps, len(cell.rows), u, batch),
                    (steps, cell.kept, u, batch),
                    (len(cell.rows) * u, columns),
                    (columns if drops else 0, batch),
                    (steps, features, batch),
                ]
            )
            features = u
        return found

    def _steps(self, work: Array, shape: Any) -> list[_Steps]:
        """Return the arrays of each cell as views of ``work``."""
        cells, at = [], 0
        for cell, shapes in zip(self._owner._cells(), self._shapes(shape), strict=True):
            arrays: list[Any] = []
            for one in shapes:
                size = math.prod(one)
                arrays.append(work[at : at + size].reshape(one))
                at += size
            steps = _Steps._make([*arrays, []])
            if not steps.dropped.size:  # outputs are written where the next step reads them
                steps = steps._replace(h=steps.xh[:, -cell.units :])
            cells.append(steps)
        return cells

    def _views(self, work: Array, shape: Any, kept: Array) -> list[_Steps]:
        """Return the result of `_steps` with each step's column, product and `parts` of the cell.

        They are kept for the next batch in the same memory: a training step of GRU(32) over 100
        steps of a batch of 32 took 3.7 ms with new views and 3.3 ms with kept ones.
        """
        if type(kept[0]) is not tuple or kept[0][0] is not work:
            runs = self._steps(work, shape)
            for cell, run in zip(self._owner._cells(), runs, strict=True):
                xh, h, c, z, a, matrix, *_ = run
                products = z.reshape(len(z), len(matrix), -1)[:, : _rows_of_u(cell)]
                before = xh[:-1, -cell.units :]
                parts = cell.parts(z, a, h[:-1], c[:-1], h[1:], c[1:], before)
                views = zip(*parts, strict=True)
                run.views.extend(zip(xh[:-1], products, views, strict=True))
            kept[0] = (work, runs)
        return kept[0][1]

    # ---- forward --------------------------------------------------------------------------

    def forward_into(self, x: Any, y: Any, mask: Any, work: Array, kept: Array) -> None:
        """Write the outputs and the last states into ``y``."""
        owner = self._owner
        x, *states = x if isinstance(x, list) else [x]
        off = self._left_out(mask)
        if owner.stateful and not states:
            states = owner._kept_states(len(x))
        below = self._in_order(x).transpose(1, 2, 0)
        runs = self._views(work, x.shape, kept)
        for cell, run in zip(owner._cells(), runs, strict=True):
            own, states = states[: cell.states], states[cell.states :]
            with _threads_for_steps(run):
                self._run(cell, run, below, own, off)
            below = run.h[1:]
        outputs = y if isinstance(y, list) else [y]
        self._put_out(runs[-1].h, outputs[0], off)
        for into, state in zip(outputs[1:], _last_states(runs, owner._cells()), strict=False):
            into[...] = state.T
        if owner.stateful and not self._training:
            self._keep_states(runs)

    def _run(
        self, cell: RecurrentCell, run: _Steps, x: Array, states: Sequence[Array], off: Any
    ) -> None:
        xh, h, c, z, _, matrix, dropped, *_ = run
        features = x.shape[1]
        xh[:-1, :features] = x
        xh[:, features] = 1
        h[0] = states[0].T if states else 0
        c[0] = states[1].T if states and cell.states > 1 else 0
        if dropped.size:
            cell.draw(dropped, features)
            xh[:-1, :features] *= dropped[:features]
        cell.fill(matrix)
        rows = _rows_of_u(cell)
        if rows < len(matrix):
            ahead = z.reshape(len(z), len(matrix), -1)[:, rows:]
            np.matmul(matrix[rows:, : features + 1], xh[:-1, : features + 1], ahead)
        matrix = matrix[:rows]
        for t, (column, product, views) in enumerate(run.views):
            if dropped.size:
                np.multiply(h[t], dropped[features + 1 :], column[features + 1 :])
            matrix.dot(column, product)
            cell.step(*views)
            if off is not None:
                np.copyto(h[t + 1], h[t], where=off[t])
                np.copyto(c[t + 1], c[t], where=off[t])

    def _put_out(self, h: Array, y: Array, off: Any) -> None:
        if not self._owner.return_sequences:
            y[...] = h[-1].T
            return
        y[...] = h[1:].transpose(2, 0, 1)
        if off is not None and self._owner.zero_output_for_mask:
            y[off.T] = 0

    def _in_order(self, steps: Array) -> Array:
        """Return the steps, in the second axis, in the order of processing."""
        return steps[:, ::-1] if self._owner.go_backwards else steps

    def _left_out(self, mask: Any) -> Any:
        """Return the masked samples of each step, of shape (steps, batch), or None."""
        mask = mask[0] if isinstance(mask, list) else mask
        return None if mask is None else ~self._in_order(mask).T

    # ---- back through time ----------------------------------------------------------------

    def backward_into(
        self, dy: Any, x: Any, mask: Any, work: Array, kept: Array, dx: Any = None
    ) -> None:
        """Run the steps backwards, from the last to the first."""
        owner, off = self._owner, self._left_out(mask)
        x, *given = x if isinstance(x, list) else [x]
        dx, *dstates = dx if isinstance(dx, list) else [dx, *[None] * len(given)]
        dy, *last = dy if isinstance(dy, list) else [dy]
        runs, cells = self._views(work, x.shape, kept), owner._cells()
        d: Any = [*[None] * (x.shape[1] - 1), dy.T]
        if owner.return_sequences:
            d = dy.transpose(1, 2, 0)
            if owner.zero_output_for_mask and off is not None:
                d = d * ~off[:, None]
        end = sum(cell.states for cell in cells)
        for at in reversed(range(len(cells))):
            cell, run = cells[at], runs[at]
            begin = end - cell.states
            with _threads_for_steps(run):
                dh, dc = self._back(cell, run, d, last[begin:end], off, at > 0 or dx is not None)
            if cell.trainable:
                self._take_gradient(cell, run)
            for into, state in zip(dstates[begin:end], (dh, dc), strict=False):
                if into is not None:
                    into[...] = state.T
            d, end = run.d, begin
        if dx is not None:
            dx[...] = self._in_order(d.transpose(2, 0, 1))

    def _back(
        self,
        cell: RecurrentCell,
        run: _Steps,
        d: Any,
        last: Sequence[Array],
        off: Any,
        asked: bool,
    ) -> tuple[Array, Array]:
        """Run the backward pass of `_run`, and return the gradients of the initial states.

        Args:
            cell: The cell.
            run: Its arrays; dJ/dx_t is written there, if ``asked`` for.
            d: The derivatives with respect to the output of each step, None for 0.
            last: Those with respect to the last states, if they are outputs.
            off: The result of `_left_out`.
            asked: Whether to compute dJ/dx_t.
        """
        _, h, c, z, a, matrix, dropped, dx, views = run
        features = dx.shape[1]
        dh, dc, work = np.zeros_like(h[0]), np.zeros_like(c[0]), np.empty_like(a[0])
        for state, into in zip(last, (dh, dc), strict=False):
            into[...] = state.T
        w, u = cell.columns()
        cell.prepare_back(z, a)
        for t, (_, product, of_step) in zip(reversed(range(len(z))), reversed(views), strict=True):
            if d[t] is not None:
                dh += d[t]
            stays = None
            if off is not None:
                stays = dh * off[t], dc * off[t]  # the part that skips M
                dh[:, off[t]] = 0
                dc[:, off[t]] = 0
            direct, further = cell.step_back(dh, dc, work, *of_step)
            u.dot(product, dh)
            if further is not None:
                dh += further
            if dropped.size:
                dh *= dropped[features + 1 :]
            if direct is not None:
                dh += direct
            if stays is not None:
                dh += stays[0]
                dc += stays[1]
        if asked:
            np.matmul(w, z.reshape(len(z), len(matrix), -1)[:, -w.shape[1] :], dx)
            if dropped.size:
                dx *= dropped[:features]
        return dh, dc

    def _take_gradient(self, cell: RecurrentCell, run: _Steps) -> None:
        """Fill the gradients of a cell's weights after `_back`."""
        known, rows = run.d.shape[1] + 1, _rows_of_u(cell)
        columns = run.xh[:-1].transpose(0, 2, 1).reshape(-1, run.xh.shape[1])
        of_gates = run.z.reshape(len(run.z), len(run.matrix), -1).transpose(1, 0, 2)
        dz = of_gates.reshape(len(of_gates), -1)
        gradient = np.empty_like(run.matrix)
        # two threads gain 5 % of a training step with 30 million multiplications, which a busy core
        # costs many times over, and 12 % with 264 million
        with threads_for(gradient.size * len(columns) // 16):
            dz[:rows].dot(columns, gradient[:rows])
            gradient[rows:, :known] = dz[rows:].dot(columns[:, :known])
        cell.take_gradient(gradient)
        cell.take_further_gradient(run.z, run.a)

    # ---- stateful layers ------------------------------------------------------------------

    def settle_from(self, arrays: Mapping[str, Any]) -> None:
        """Keep the last states for the next batch, if the layer is stateful."""
        if self._owner.stateful:
            x = arrays["x"]
            self._keep_states(self._steps(arrays["work"], np.shape(x[0] if type(x) is list else x)))

    def _keep_states(self, runs: Sequence[_Steps]) -> None:
        states = _last_states(runs, self._owner._cells())
        self._owner.states = [np.array(state.T) for state in states]


def _threads_for_steps(run: _Steps) -> AbstractContextManager[None]:
    """Return a context with the right number of BLAS threads for a cell's steps.

    All threads pay from products of 3 million multiplications on, earlier than in a net of dense
    layers: with 512 by 161 by 64, a step took 155 us with one thread and 100 us with two.
    """
    return threads_for(2 * run.matrix.size * run.xh.shape[2])


def _rows_of_u(cell: RecurrentCell) -> int:
    """Return the number of rows of M with a part for h, which come first."""
    return sum(h for _, _, h in cell.rows) * cell.units


def _last_states(runs: Sequence[_Steps], cells: Sequence[RecurrentCell]) -> list[Array]:
    """Return the states after the last step, features first."""
    both = zip(runs, cells, strict=True)
    return [state for run, cell in both for state in (run.h[-1], run.c[-1])[: cell.states]]


# ---- layers with one cell -----------------------------------------------------------------


class _OneCell(RNN):
    """Base class of layers that create their cell from their own arguments."""

    cell_class: ClassVar[type[RecurrentCell]]
    left_out_if_none = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls):
            for name in cls._of_the_cell():
                setattr(cls, name, _of_cell(name))

    @classmethod
    def _of_the_cell(cls) -> list[str]:
        """Return the arguments that go to the cell."""
        known = RNN._parameters()
        return [name for name in cls.cell_class._parameters() if name not in known]

    def _begin(self, arguments: dict[str, Any], kwargs: dict[str, Any]) -> None:
        """Create the cell and the layer from the constructor's arguments."""
        kwargs.pop("implementation", None)
        if self.cell_class is not SimpleRNNCell:
            kwargs.pop("use_cudnn", None)
        cell = self.cell_class(
            **{name: arguments[name] for name in self._of_the_cell()}, dtype=kwargs.get("dtype")
        )
        own = RNN._parameters()
        rest = {name: value for name, value in arguments.items() if name in own}
        RNN.__init__(self, cell, **rest, **kwargs)

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Return the constructor's arguments without the cell."""
        return {name: value for name, value in super()._parameters().items() if name != "cell"}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, including those of the cell."""
        return super().get_config() | {
            name: activations.serialize(getattr(self, name))
            for name in ("activation", "recurrent_activation")
            if hasattr(self, name)
        }


def _of_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name), doc=f"The cell's ``{name}``.")


@registry.register()
class SimpleRNN(_OneCell):
    """A fully connected recurrent layer: h_t = g(x_t W + h_{t-1} U + b).

    The arguments up to ``recurrent_dropout`` and ``seed`` are those of `SimpleRNNCell`, the others
    those of `RNN`; ``activity_regularizer`` is a penalty on the output, averaged over the batch.

    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class = SimpleRNNCell

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(locals(), kwargs)


@registry.register()
class LSTM(_OneCell):
    """Long short-term memory; see `LSTMCell` for the formulas.

    The arguments up to ``seed`` are those of `LSTMCell`, the others those of `RNN`;
    ``activity_regularizer`` is a penalty on the output, averaged over the batch. ``use_cudnn`` and
    ``implementation`` are accepted for compatibility with Keras and ignored.

    >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell_class = LSTMCell

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
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        self._begin(locals(), kwargs)


@registry.register()
class GRU(_OneCell):
    """Gated recurrent unit; see `GRUCell` for the formulas.

    The arguments up to ``seed`` and ``reset_after`` are those of `GRUCell`, the others those of
    `RNN`; ``activity_regularizer``, ``use_cudnn`` and ``implementation`` are as for `LSTM`.

    >>> GRU(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        self._begin(locals(), kwargs)
