"""The messages of an ONNX file, as Protocol Buffers write them.

Source: onnx.proto of ONNX 1.8, and Google, "Protocol Buffers: Encoding".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from nnlite.utils.protobuf import message
from nnlite.version import __version__

#: The largest size of a message of Protocol Buffers, in bytes.
LIMIT = 2**31 - 1

#: The first version of the operators whose Softmax works along one axis, and whose Squeeze,
#: Unsqueeze and Split have their axes and sizes as inputs.
OPSET = 13

#: The set of operators that has LabelEncoder, in version 2, that of ONNX 1.8.
_TABLES = "ai.onnx.ml"

_NAMES = "float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64"

#: ONNX's number of each type; arrays of objects hold text.
TYPES = {name: number for number, name in enumerate(_NAMES.split(), 1)}
TYPES["object"] = TYPES["string"]


def _attribute(name: str, value: Any) -> bytes:
    """Return an AttributeProto of an integer, a float, a text, or a list of one type."""
    listed = isinstance(value, (list, tuple))
    first = value[0] if listed else value
    kind = 1 if isinstance(first, float) else 3 if isinstance(first, str) else 2
    kind += 5 * listed
    content = list(value) if listed else value
    return message(_1=name, **{f"_{kind + 1}": content}, _20=kind)


def node(kind: str, inputs: Any, outputs: Any, attributes: Mapping[str, Any]) -> bytes:
    """Return a NodeProto, one operator on arrays, named after its first output."""
    made = [_attribute(key, value) for key, value in attributes.items()]
    domain = {"_7": _TABLES} if kind == "LabelEncoder" else {}
    return message(_1=inputs, _2=outputs, _3=outputs[0], _4=kind, _5=made, **domain)


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto: a constant."""
    content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return message(_1=list(array.shape), _2=TYPES[array.dtype.name], _8=name, _9=content)


def value_info(name: str, dtype: str, sizes: Iterable[int | str]) -> bytes:
    """Return a ValueInfoProto: an input or output; a free size is a name."""
    axes = [message(_1=n) if isinstance(n, int) else message(_2=n) for n in sizes]
    kind = message(_1=TYPES[dtype], _2=message(_1=axes))
    return message(_1=name, _2=message(_1=kind))


def model(
    name: str, nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], outputs: list[bytes]
) -> bytes:
    """Return a ModelProto in the version of the format that came with `OPSET`."""
    graph = message(_1=nodes, _2=name, _5=tensors, _11=inputs, _12=outputs)
    operators = [message(_1="", _2=OPSET)]
    if any(_TABLES.encode() in one for one in nodes):
        operators.append(message(_1=_TABLES, _2=2))
    return message(_1=7, _2="nnlite", _3=__version__, _7=graph, _8=operators)
