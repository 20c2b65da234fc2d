"""The loops of predict and evaluate, and one batch of predict."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import numpy as np

from nnlite.callbacks import CallbackList
from nnlite.data.arrays import rows_of
from nnlite.data.epochs import Epochs
from nnlite.distribution.processes import Share, current
from nnlite.execution.abstract_model import AbstractModel
from nnlite.symbolic import in_order
from nnlite.utils import user_code
from nnlite.utils.progress import Progress
from nnlite.utils.structures import flatten, map_structure, pack_as
from nnlite.utils.typing import Array

__all__ = [
    "BATCH_SIZE",
    "default_batch_size",
    "evaluate_all",
    "predict_all",
    "predict_batch",
    "rows_at_once",
]


BATCH_SIZE = 32  # Keras's default
_ENTRIES = 131_072  # about the number of entries of a layer's output that fills the cache


def default_batch_size(rows: int | None, steps: int | None) -> int:
    """Return 32, or the size that divides the rows into ``steps`` batches if both are known.

    >>> default_batch_size(100, None), default_batch_size(100, 8)
    (32, 13)
    """
    return -(-rows // steps) if rows and steps else BATCH_SIZE


def rows_at_once(model: AbstractModel) -> int:
    """Return the number of samples for which the widest layer's output fits the cache."""
    nodes = in_order(model.outputs, until=model.inputs)
    shapes = [tensor.shape for node in nodes for tensor in node.outputs]
    widest = max([1, *(math.prod(size or 1 for size in shape[1:]) for shape in shapes)])
    return max(BATCH_SIZE, _ENTRIES // widest)


@np.errstate(under="ignore")  # half the cost of a context
def predict_batch(model: AbstractModel, x: Any) -> Any:
    """Return a model's output for one checked batch, as arrays that the user may change."""
    types = model._data.input_types()
    if type(x) is list:
        x = [array.astype(dtype, copy=False) for array, dtype in zip(x, types, strict=True)]
    else:
        if not model.built:
            model.build((None, *x.shape[1:]))
            types = model._data.input_types()
        if x.dtype != types[0]:
            x = x.astype(types[0])
    output = _run(model, x)
    if type(output) is np.ndarray:
        return output if output.base is None and output is not x else _apart(output, x)
    return map_structure(lambda y: _apart(y, x), output)


def _run(model: AbstractModel, x: Any) -> Any:
    """Return the output for one batch, with the weights between two steps."""
    model.lock.acquire_read()
    try:
        if not (model.predicts_own or model.of_user):
            return model.forward(x)
        x = model._data.packed(x)
        if not model.predicts_own:
            return model.run_forward(x)
        what = f"predict_step of model {model.name!r}"
        output = model.predict_step((map_structure(user_code.read_only, x),))
        return map_structure(lambda y: user_code.floats(what, y, None, model.dtype), output)
    finally:
        model.lock.release_read()


def _run_shared(model: AbstractModel, x: Any) -> Any:
    """Return the output for one batch; each process computes its share."""
    if current().size == 1 or model.predicts_own or model.of_user:
        return _run(model, x)
    share = Share(rows_of(x), current())
    output = _run(model, share.of(x))
    return pack_as(output, share.whole(flatten(output), "predict"))


def _apart(y: Array, x: Any) -> Array:
    """Return an output that shares no memory with the inputs."""
    inputs = x if type(x) is list else [x]
    return y.copy() if any(np.may_share_memory(y, one) for one in inputs) else y


def predict_all(
    model: AbstractModel, batches: Epochs, rows: int | None, hooks: CallbackList, bar: Progress
) -> Any:
    """Return a model's output for all batches; ``rows`` is their total number of rows, if known."""
    parts: list[list[Array]] = []  # arrays of each batch, or of all rows
    structure: Any = None
    start = 0
    if hooks.callbacks:  # without any, the flag may belong to another thread
        model.stop_predicting = False
    hooks.call("on_predict_begin")
    with np.errstate(under="ignore"), bar as progress, closing(batches):
        progress.begin_epoch(0, batches.length)
        for step, (batch, *_) in enumerate(batches):
            hooks.call("on_predict_batch_begin", step)
            structure = map_structure(lambda y: _apart(y, batch), _run_shared(model, batch))  # noqa: B023  called at once
            part = flatten(structure)
            if rows is None:
                parts.append(part)
            else:
                if not parts:
                    parts.append([np.empty((rows, *y.shape[1:]), y.dtype) for y in part])
                for whole, y in zip(parts[0], part, strict=True):
                    whole[start : start + len(y)] = y
                start += len(part[0])
            hooks.call("on_predict_batch_end", step, logs={"outputs": structure})
            progress.step(dict)
            if hooks.callbacks and model.stop_predicting:
                break
    hooks.call("on_predict_end")
    if rows is not None and start < rows:
        parts[0] = [whole[:start].copy() for whole in parts[0]]
    if len(parts) == 1:
        return pack_as(structure, parts[0])
    return pack_as(structure, [np.concatenate(each) for each in zip(*parts, strict=True)])


def evaluate_all(
    model: AbstractModel, batches: Epochs, hooks: CallbackList, progress: Progress | None = None
) -> dict[str, Any]:
    """Return the means of loss and metrics over all batches; empty without batches."""
    model.reset_metrics()
    if progress:
        progress.begin_epoch(0, batches.length)
    own: dict[str, Any] | None = None

    def logs() -> dict[str, Any]:
        return model.get_metrics_result() if own is None else own

    model.stop_evaluating = False
    ends, pending = hooks.wants("on_test_batch_end"), 0  # steps since the last hook
    hooks.call("on_test_begin")
    with closing(batches):
        for step, (x, y, weight) in enumerate(batches):
            if not pending:
                hooks.call("on_test_batch_begin", step)
            own = model._step.evaluate(x, y, weight)
            pending = (pending + 1) % model.steps_per_execution
            if ends and not pending:
                hooks.call("on_test_batch_end", step, logs=logs())
            if progress:
                progress.step(logs)
            if model.stop_evaluating and not pending:
                break
    if ends and pending:
        hooks.call("on_test_batch_end", batches.taken - 1, logs=logs())
    results = logs() if batches.taken else {}
    hooks.call("on_test_end", logs=results)
    return results
