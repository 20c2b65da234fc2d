"""The messages of an ONNX file, as Protocol Buffers write them.

Source: onnx.proto of ONNX 1.8, and Google, "Protocol Buffers: Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["LIMIT", "TYPES", "graph", "model", "node", "tensor", "value_info"]

#: How many bytes a message of Protocol Buffers may have.
LIMIT = 2**31 - 1

#: ONNX's number of each type.
TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}


def _varint(number: int) -> bytes:
    """Return an integer in groups of seven bits, the lowest first.

    >>> _varint(300).hex(), len(_varint(-1))
    ('ac02', 10)
    """
    number &= 2**64 - 1
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _field(number: int, value: Any) -> bytes:
    """Return a field: an integer, a float, a text or bytes; or one for each of a list."""
    if isinstance(value, list):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _message(**fields: Any) -> bytes:
    """Return a message of fields, by ``_`` and their numbers."""
    return b"".join(_field(int(name[1:]), value) for name, value in fields.items())


def _attribute(name: str, value: Any) -> bytes:
    """Return an AttributeProto of an integer, a float, a text or a list of integers."""
    if isinstance(value, float):
        return _message(_1=name, _2=value, _20=1)
    if isinstance(value, str):
        return _message(_1=name, _4=value, _20=3)
    if isinstance(value, (list, tuple)):
        return _message(_1=name, _8=[int(one) for one in value], _20=7)
    return _message(_1=name, _3=int(value), _20=2)


def node(
    kind: str, name: str, inputs: list[str], outputs: list[str], attributes: Mapping[str, Any]
) -> bytes:
    """Return a NodeProto: one operator on arrays."""
    made = [_attribute(key, value) for key, value in attributes.items()]
    return _message(_1=inputs, _2=outputs, _3=name, _4=kind, _5=made)


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto: a constant."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    number = TYPES[array.dtype.name]
    return _message(_1=list(array.shape), _2=number, _8=name, _9=little.tobytes())


def value_info(name: str, dtype: str, sizes: Iterable[int | str]) -> bytes:
    """Return a ValueInfoProto: an input or output, with a name for each size that is not fixed."""
    axes = [_message(_1=n) if isinstance(n, int) else _message(_2=n) for n in sizes]
    shape = _message(_1=axes)
    return _message(_1=name, _2=_message(_1=_message(_1=TYPES[dtype], _2=shape)))


def graph(
    name: str, nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], outputs: list[bytes]
) -> bytes:
    """Return a GraphProto."""
    return _message(_1=nodes, _2=name, _5=tensors, _11=inputs, _12=outputs)


def model(content: bytes, version: str, opset: int) -> bytes:
    """Return a ModelProto of a graph, of the format's version that came with opset 13."""
    operators = _message(_1="", _2=opset)
    return _message(_1=7, _2="nnlite", _3=version, _7=content, _8=operators)
