"""Numbers and text in HDF5 files: their shape, type and storage, and reading them.

Sections (IV.A, ...) are those of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.saving.formats.hdf5 import objects
from nnlite.saving.formats.hdf5.source import Cursor, Source
from nnlite.saving.formats.hdf5.trees import UNDEFINED, GlobalHeap, tree_v1
from nnlite.utils.typing import Array

Value = str | list[str] | int | float | bool | Array

_MAX_RANK, _MAX_LENGTH = 16, 1 << 48

# ---- shapes and types ------------------------------------------------------------------------


def _shape(data: bytes) -> tuple[int, ...] | None:
    """Return a shape (IV.A.2.b), None if there are no data."""
    space = Cursor(data, "a shape")
    version, rank = space.number(1), space.number(1)
    space.take(1)
    if version not in (1, 2) or rank > _MAX_RANK:
        raise ValueError(f"a shape of version {version} has {rank} axes (at most {_MAX_RANK})")
    if version == 1:
        space.take(5)
    elif space.number(1) > 1:
        return None
    shape = tuple(space.number(8) for _ in range(rank))
    if max(shape, default=0) > _MAX_LENGTH:  # even beside an axis of length 0
        raise ValueError(f"a shape of {shape} is more than any file holds")
    return shape


@dataclass(frozen=True)
class _Text:
    """A type of strings: of ``size`` bytes each, or of variable length if ``size`` is None."""

    size: int | None


_FLOATS = {  # IV.A.2.d: size, positions and sizes of exponent and mantissa, bias, sign's position
    (2, 10, 5, 0, 10, 15, 15): "f2",
    (4, 23, 8, 0, 23, 127, 31): "f4",
    (8, 52, 11, 0, 52, 1023, 63): "f8",
}
# The members and values of h5py's booleans, in versions 3 and 1.
_BOOLEANS = b"FALSE\0TRUE\0\0\1", b"FALSE\0\0\0TRUE\0\0\0\0\0\1"
_OTHER = {
    2: "time",
    4: "bit field",
    5: "opaque",
    6: "compound",
    7: "reference",
    8: "enumeration",
    9: "variable-length list",
    10: "array",
    11: "complex number",
}


def _type(data: bytes) -> np.dtype[Any] | _Text:
    """Return the type of numbers, booleans or strings that a message describes (IV.A.2.d)."""
    message = Cursor(data, "a type")
    kind, bits, size = message.number(1) & 15, message.number(3), message.number(4)
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        if message.number(2) or message.number(2) != 8 * size:
            raise ValueError(f"it has an integer type with some of {size} bytes unused")
        return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    if kind == 1:
        message.take(4)
        form = (size, *(message.number(1) for _ in range(4)), message.number(4), bits >> 8 & 255)
        if form not in _FLOATS or bits & 64:
            raise ValueError(f"it has a float type of {size} bytes that is not one of IEEE's")
        return np.dtype(order + _FLOATS[form])
    if kind == 3 and size:
        return _Text(size)
    if kind == 8 and size == 1 and data[20:].startswith(_BOOLEANS):
        return np.dtype(bool)
    if kind == 9 and bits & 15 == 1:
        return _Text(None)
    raise ValueError(f"it has type {_OTHER.get(kind, kind)} of {size} bytes, which is not read")


# ---- storage ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """The place of a dataset's bytes: in ``data``; ``size`` bytes at ``address``; or in chunks."""

    address: int = UNDEFINED
    size: int = 0
    data: bytes | None = None
    chunk: tuple[int, ...] | None = None  # a chunk's shape, then an element's bytes


def _layout(message: bytes) -> _Layout:
    """Return the place of a dataset's bytes (IV.A.2.i)."""
    place = Cursor(message, "a layout")
    version, kind = place.number(1), place.number(1)
    if version not in (3, 4, 5):
        raise ValueError(f"it is stored in a layout of the unknown version {version}")
    if kind == 0:
        data = place.take(place.number(2))
        return _Layout(size=len(data), data=data)
    if kind == 1:
        address, size = place.number(8), place.number(8)
        return _Layout(address, size if address != UNDEFINED else 0)
    if kind == 2 and version == 3:
        rank, address = place.number(1), place.number(8)
        if not 2 <= rank <= _MAX_RANK + 1:
            raise ValueError(f"it is stored in chunks of {rank} axes")
        return _Layout(address, chunk=tuple(place.number(4) for _ in range(rank)))
    if kind == 2:
        raise ValueError("it is stored in chunks of the newest HDF5 format, which are not read")
    raise ValueError(
        "it is virtual, made of other files' data, which is not read"
        if kind == 3
        else f"it is stored in a layout of the unknown class {kind}"
    )


_SHUFFLE, _DEFLATE = 2, 1


def _filters(message: bytes) -> list[int]:
    """Return the filters of chunks in the order of writing (IV.A.2.l): 1 deflate, 2 shuffle."""
    pipeline = Cursor(message, "a filter pipeline")
    version, count = pipeline.number(1), pipeline.number(1)
    if version not in (1, 2):
        raise ValueError(f"its filters are of the unknown version {version}")
    pipeline.take(6 if version == 1 else 0)
    found: list[int] = []
    for _ in range(count):
        number = pipeline.number(2)
        named = version == 1 or number >= 256
        name = pipeline.number(2) if named else 0
        pipeline.take(2)
        values = pipeline.number(2)
        label = pipeline.take(name + (-name % 8 if version == 1 else 0)).partition(b"\0")[0]
        pipeline.take(4 * (values + (values % 2 if version == 1 else 0)))
        if number not in (_SHUFFLE, _DEFLATE) or number in found:
            raise ValueError(
                f"filters must be gzip or shuffle. Received: filter {number} {label[:40]!r}"
            )
        found.append(number)
    return found


def _chunks(source: Source, place: _Layout, shape: tuple[int, ...]) -> dict[tuple[int, ...], Any]:
    """Return offset -> (address, stored size) of every chunk (III.A.1)."""
    assert place.chunk is not None
    *sides, _ = place.chunk
    if len(sides) != len(shape) or not all(sides):
        raise ValueError(f"it has shape {shape}, stored in chunks of shape {tuple(sides)}")
    count = math.prod(-(-length // side) for length, side in zip(shape, sides, strict=True))
    found: dict[tuple[int, ...], Any] = {}
    if place.address != UNDEFINED:
        for data, address in tree_v1(source, place.address, 1, 8 + 8 * (len(shape) + 1)):
            key = Cursor(data, "a chunk")
            size, mask = key.number(4), key.number(4)
            offset = tuple(key.number(8) for _ in sides)
            if mask or any(
                at >= length or at % side
                for at, length, side in zip(offset, shape, sides, strict=True)
            ):
                raise ValueError(f"it has an invalid or unfiltered chunk at {offset}")
            found[offset] = (address, size)
    if len(found) != count:
        raise ValueError(f"it has {len(found)} of its {count} chunks")
    return found


def _decoded(data: bytes, size: int, item_size: int, filters: list[int]) -> bytes:
    """Return the ``size`` bytes that a chunk had before its filters."""
    for number in reversed(filters):
        if number == _DEFLATE:
            try:
                data = zlib.decompressobj().decompress(data, size + 1)
            except zlib.error as error:
                raise ValueError(f"a chunk cannot be decompressed: {error}") from None
        elif len(data) == size:
            data = np.frombuffer(data, np.uint8).reshape(item_size, -1).T.tobytes()
    if len(data) != size:
        raise ValueError(f"a chunk does not unpack to its {size} bytes")
    return data


@dataclass(frozen=True)
class Dataset:
    """A dataset whose storage was checked against its shape; its data has not been read.

    Attributes:
        shape: Its shape, None if it does not have data.
        stored: The number of bytes in the file.
        declared: The number of bytes in memory.
    """

    shape: tuple[int, ...] | None
    stored: int
    declared: int
    _source: Source
    _type: bytes
    _layout: _Layout
    _filters: list[int]
    _chunks: dict[tuple[int, ...], tuple[int, int]]

    @classmethod
    def of(cls, source: Source, messages: list[objects.Message]) -> Dataset:
        """Return the dataset that an object's messages describe."""
        kinds = [kind for kind, _, _ in messages]
        if objects.LAYOUT not in kinds:
            raise ValueError("it is neither a group nor a dataset")
        if objects.EXTERNAL in kinds:
            raise ValueError("its data is kept in external files, which are not read")
        shape = _shape(objects.one(messages, objects.DATASPACE, "shape"))
        type_ = objects.one(messages, objects.DATATYPE, "type")
        item_size = int.from_bytes(type_[4:8], "little")
        place = _layout(objects.one(messages, objects.LAYOUT, "layout"))
        declared = math.prod(shape) * item_size if shape is not None else 0
        stored, pipeline, parts = declared, [], {}
        if place.chunk is not None:
            if objects.FILTERS in kinds:
                pipeline = _filters(objects.one(messages, objects.FILTERS, "filters"))
            parts = _chunks(source, place, shape or ())
            stored = sum(size for _, size in parts.values())
            declared = len(parts) * math.prod(place.chunk)
            if place.chunk[-1] != item_size or (not pipeline and stored != declared):
                raise ValueError("its chunks do not fit its type")
        elif place.size != declared:
            raise ValueError(
                f"its shape {shape} takes {declared} bytes, but {place.size} are stored"
            )
        elif place.data is None:
            parts = {(): (place.address, declared)} if declared else {}
        for address, size in parts.values():
            source.check(address, size)
        return cls(shape, stored, declared, source, type_, place, pipeline, parts)

    def total_elements(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape) if self.shape is not None else 0

    def read(self) -> Array:
        """Return its numbers as a new array, in this machine's byte order."""
        dtype = _type(self._type)
        if isinstance(dtype, _Text) or self.shape is None:
            raise ValueError("it does not hold numbers")
        if self._layout.chunk is None:
            data = np.empty(self.declared, np.uint8)
            if self._layout.data is not None:
                data[:] = np.frombuffer(self._layout.data, np.uint8)
            for address, _ in self._chunks.values():
                self._source.data_into(address, data)
            return _native(data, dtype).reshape(self.shape)
        result = np.empty(self.shape, dtype.newbyteorder("="))
        *sides, item_size = self._layout.chunk
        for offset, (address, size) in self._chunks.items():
            packed = self._source.data(address, size)
            part = _decoded(packed, math.prod(self._layout.chunk), item_size, self._filters)
            inside = tuple(slice(at, at + side) for at, side in zip(offset, sides, strict=True))
            block = result[inside]
            whole = _native(np.frombuffer(part, np.uint8), dtype).reshape(sides)
            block[...] = whole[tuple(map(slice, block.shape))]
        return result


def _native(data: Array, dtype: np.dtype[Any]) -> Array:
    """Return bytes as numbers in this machine's byte order."""
    if dtype.kind == "b":
        return data != 0
    return data.view(dtype).astype(dtype.newbyteorder("="), copy=False)


# ---- attributes ------------------------------------------------------------------------------


def value(heap: GlobalHeap, type_: bytes, space: bytes, data: bytes) -> Value | None:
    """Return an attribute's value: text, a number, a list or an array of them, or None."""
    shape, dtype = _shape(space), _type(type_)
    if shape is None:
        return None
    count, fields = math.prod(shape), Cursor(data, "its data")
    if isinstance(dtype, np.dtype):
        numbers = _native(np.frombuffer(fields.take(count * dtype.itemsize), np.uint8), dtype)
        return numbers.reshape(shape).copy() if shape else numbers[0].item()
    if len(shape) > 1:
        raise ValueError(f"it is a table of text, of shape {shape}")
    if count * (dtype.size or 16) > fields.left:
        raise ValueError(f"its shape {shape} is more than the text that is stored")
    texts = []
    for _ in range(count):
        if dtype.size is None:
            length, address, index = fields.number(4), fields.number(8), fields.number(4)
            text = Cursor(heap.get(address, index, length) if length else b"", "a text")
        else:
            text = Cursor(fields.take(dtype.size), "a text")
        texts.append(text.text(text.left))
    return texts if shape else texts[0]
