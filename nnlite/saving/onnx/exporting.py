"""export_model: the calls of a model's layers, one by one, as the graph of an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from nnlite.execution.graph import Call, Graph, Slot, _MaskOf
from nnlite.layers.abstract_model import AbstractModel
from nnlite.layers.layer import fits
from nnlite.saving.onnx import activations, attention, layers, operations, protobuf, spatial
from nnlite.saving.onnx.builder import OPSET, Builder, NoFormError, Value, find
from nnlite.symbolic import KerasTensor
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.structures import SHAPES, flatten, map_structure
from nnlite.version import __version__

__all__ = ["export_model"]

#: The modules that say which layers have a form.
_FORMS = (activations, attention, layers, operations, spatial)


def export_model(
    model: AbstractModel, filepath: str | os.PathLike[str], input_signature: Any = None
) -> None:
    """Write a model, as it predicts, to an ONNX file; see `nnlite.Model.export`."""
    content = _model(model, _signature(model, input_signature))
    if len(content) > protobuf.LIMIT:
        raise _too_large(model, len(content))
    with atomic_write(filepath) as file:
        file.write(content)


def _signature(model: Any, input_signature: Any) -> list[KerasTensor]:
    """Return the inputs, of the shapes that were asked for."""
    given = model.inputs if input_signature is None else flatten(input_signature)
    if len(given) != len(model.inputs):
        raise ValueError(
            f"input_signature must have a tensor for each of the {len(model.inputs)} inputs of "
            f"model {model.name!r}. Received: {len(given)}"
        )
    tensors = []
    for one, own, dtype in zip(given, model.inputs, model.input_dtypes, strict=True):
        shape = tuple(getattr(one, "shape", None) or ())
        if len(shape) != len(own.shape) or not fits(shape, own.shape):
            raise ValueError(
                f"input_signature must hold what has the shape of an input, here "
                f"{own.shape} of {own.name!r}. Received: {one!r:.200}"
            )
        tensors.append(KerasTensor(shape, dtype, own.name))
    return tensors


def _too_large(model: AbstractModel, size: int) -> ValueError:
    return ValueError(
        f"An ONNX file holds less than 2 GiB. Model {model.name!r} has {size:,} bytes: save it as "
        ".keras, or export parts of it."
    )


def _model(model: Any, inputs: list[KerasTensor]) -> bytes:
    """Return the ModelProto of a model.

    Raises:
        ValueError: If calls have no form in ONNX, all of which the message names.
    """
    weights = sum(variable.value.nbytes for variable in model.all_variables())
    if weights > protobuf.LIMIT:
        raise _too_large(model, weights)
    graph: Graph = model.graph(training=False)
    builder = Builder()
    refused: dict[str, None] = {}
    values: dict[int, Value] = {}
    made_inputs, made_outputs = [], []
    for slot, tensor in zip(graph.inputs, inputs, strict=True):
        values[slot] = _value(builder.unique(tensor.name), tensor.shape, graph.dtypes[slot])
        made_inputs.append(_info(values[slot]))
    names = [builder.unique(name) for name in model.output_names]
    for call in _needed(graph):
        if reason := _refusal(builder, graph, call, values):
            owner = call.owner.layer if isinstance(call.owner, _MaskOf) else call.owner
            refused[f"{owner.name!r} ({type(owner).__name__}): {reason}"] = None
    if refused:
        raise ValueError(
            f"Model {model.name!r} cannot be exported as ONNX. These layers have no form there:\n"
            + "\n".join(f"  {line}" for line in refused)
        )
    for name, slot in zip(names, graph.outputs, strict=True):
        value = values[slot]
        builder.add("Identity", name, [value], [name])
        made_outputs.append(_info(_value(name, value.shape, value.dtype)))
    content = builder.finished(model.name, made_inputs, made_outputs)
    return protobuf.model(content, __version__, OPSET)


def _value(name: str, shape: Any, dtype: str) -> Value:
    value = Value(name)
    value.shape, value.dtype = tuple(shape), dtype
    return value


def _info(value: Value) -> bytes:
    """Return the ValueInfoProto of an input or output: the first axis is any batch's."""
    sizes = [f"{value}_{i}" if n is None else n for i, n in enumerate(value.shape)]
    return protobuf.value_info(value, value.dtype, ["batch", *sizes[1:]] if sizes else [])


def _needed(graph: Graph) -> list[Call]:
    """Return the calls that the outputs depend on."""
    needed, calls = {*graph.outputs}, []
    for call in reversed(graph.calls):
        if not needed.isdisjoint(call.outputs):
            needed.update(call.inputs)
            calls.append(call)
    return calls[::-1]


def _refusal(builder: Builder, graph: Graph, call: Call, values: dict[int, Value]) -> str | None:
    """Add the nodes of a call, or return why it has none."""
    try:
        _write(builder, graph, call, values)
    except NoFormError as reason:
        return str(reason)
    return None


def _write(builder: Builder, graph: Graph, call: Call, values: dict[int, Value]) -> None:
    """Add the nodes of a call.

    Raises:
        NoFormError: If it has none, or reads what has none.
    """
    layer, convert = call.layer, find(call.layer)
    if isinstance(layer, _MaskOf):
        raise NoFormError("its mask, which a later layer reads, is not exported")
    if convert is None:
        raise NoFormError(
            "there is none for a call with training=True"
            if call.training
            else f"there is none for its class {type(layer).__name__}"
        )
    if any(slot not in values for slot in call.inputs):
        return  # what comes before has been refused
    builder.scope, builder.dtype = call.owner.name, graph.dtypes[call.outputs[0]]
    x = map_structure(lambda s: values[s] if isinstance(s, Slot) else s, call.x)
    y = convert(builder, layer, x)
    tensors = map_structure(
        lambda v: KerasTensor(v.shape, v.dtype) if isinstance(v, Value) else v, x
    )
    shapes = flatten(layer.output_shape_for(tensors), SHAPES)
    for slot, value, shape in zip(call.outputs, flatten(y), shapes, strict=True):
        values[slot] = _value(str(value), shape, graph.dtypes[slot])
