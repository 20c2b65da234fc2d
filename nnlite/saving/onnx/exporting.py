"""export_model: writes the calls of a model's layers as the graph of an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import fits
from nnlite.saving.onnx import attention, layers, operations, protobuf, recurrent, spatial, tables
from nnlite.saving.onnx.builder import Builder, NoFormError, Value
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.structures import flatten

#: The modules that define the layers' forms.
FORMS_IN = (attention, layers, operations, recurrent, spatial, tables)


def export_model(
    model: AbstractModel, filepath: str | os.PathLike[str], input_signature: Any = None
) -> None:
    """Write a model for prediction to an ONNX file; see `nnlite.Model.export`."""
    content = model_bytes(model, input_signature)
    with atomic_write(filepath) as file:
        file.write(content)


def model_bytes(model: AbstractModel, input_signature: Any = None) -> bytes:
    """Return a model as the bytes of an ONNX file; see `nnlite.Model.export`."""
    given = model.inputs if input_signature is None else flatten(input_signature)
    shapes = [tuple(getattr(one, "shape", ())) for one in given]
    wanted = [tensor.shape for tensor in model.inputs]
    if len(shapes) != len(wanted) or not all(map(fits, shapes, wanted)):
        raise ValueError(
            f"input_signature must have the shapes {' and '.join(map(str, wanted))} of the inputs "
            f"of model {model.name!r}. Received: {input_signature!r:.200}"
        )
    _check_size(model, sum(variable.value.nbytes for variable in model.all_variables()))
    graph, builder = model.graph(False), Builder()
    # A model predicts for batches of any size, even if it was built for one.
    inputs = [
        Value.of(builder.unique(name), (None, *shape[1:]), dtype)
        for name, shape, dtype in zip(model.input_names, shapes, model.input_dtypes, strict=True)
    ]
    names = [builder.unique(name) for name in model.output_names]
    try:
        made = builder.run(graph, inputs)
    except NoFormError as reasons:
        raise ValueError(
            f"Model {model.name!r} cannot be exported as ONNX. These layers have no form in ONNX:\n"
            f"  {reasons}"
        ) from None
    outputs = [Value.of(n, v.shape, v.dtype) for n, v in zip(names, made, strict=True)]
    for output, value in zip(outputs, made, strict=True):
        builder.nodes.append(protobuf.node("Identity", [value], [output], {}))
    ends = [_infos(inputs, "batch"), _infos(outputs, None)]
    content = protobuf.model(model.name, builder.nodes, builder.tensors, *ends)
    _check_size(model, len(content))
    return content


def _check_size(model: AbstractModel, size: int) -> None:
    if size > protobuf.LIMIT:
        raise ValueError(
            f"An ONNX file holds less than 2 GiB. Model {model.name!r} has {size:,} bytes: save it "
            "as .keras, or export parts of it."
        )


def _infos(values: list[Value], first: str | None) -> list[bytes]:
    """Return the messages for inputs or outputs, with ``first`` as the first axis, if given."""
    infos = []
    for value in values:
        sizes = [f"{value}_{i}" if size is None else size for i, size in enumerate(value.shape)]
        sizes[:1] = [first] if first else sizes[:1]
        infos.append(protobuf.value_info(value, value.dtype, sizes))
    return infos
