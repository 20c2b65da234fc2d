"""A file's groups, all opened and checked at the start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nnlite.saving.formats.hdf5 import data, objects
from nnlite.saving.formats.hdf5.source import Cursor, Source
from nnlite.saving.formats.hdf5.trees import UNDEFINED, GlobalHeap

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 64
_ALWAYS_ALLOWED, _MAX_RATIO = 32 << 20, 64


def allowed_size(stored: int) -> int:
    """Return the most bytes that ``stored`` bytes may expand to: 32 MiB, or 64 times as many.

    Compression hardly shrinks weights, but zeros, as in a new optimizer's state, by 1,000.

    >>> allowed_size(10 << 20) >> 20
    640
    """
    return max(_ALWAYS_ALLOWED, _MAX_RATIO * stored)


@contextmanager
def _naming(*places: str) -> Iterator[None]:
    """Prefix the message of a ValueError from inside with the places."""
    try:
        yield
    except ValueError as error:
        raise ValueError(": ".join([*places, str(error)])) from None


@dataclass(frozen=True)
class _File:
    source: Source
    name: str
    heap: GlobalHeap


class Node:
    """A group in an HDF5 file, from `open_hdf5`. Keys may be paths such as ``"vars/0"``.

    The file's structure is in memory and checked; arrays are read on demand. Every fault raises a
    ValueError that names the file, the path and the problem.

    Attributes:
        name: The path of the group in the file, ``"/"`` for the first.
    """

    def __init__(self, file: _File, name: str, messages: list[objects.Message]) -> None:
        self._file, self.name, self._messages = file, name, messages
        self._members: dict[str, Node | data.Dataset] = {}
        self._attributes: dict[str, tuple[bytes, bytes, bytes]] | None = None
        self._values: dict[str, data.Value | None] = {}

    def groups(self) -> list[str]:
        """Return the names of this group's groups, by creation if the file has it, else sorted."""
        return [key for key, member in self._members.items() if isinstance(member, Node)]

    def datasets(self) -> list[str]:
        """Return the names of the datasets in this group, in the order of `groups`."""
        return [key for key, member in self._members.items() if isinstance(member, data.Dataset)]

    def group(self, key: str) -> Node:
        """Return a group below this one."""
        found = self._find(key)
        if isinstance(found, Node):
            return found
        some = _some(self.groups())
        raise ValueError(f"{self._place(key)}: no such group. There are: {some}")

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a dataset."""
        shape = self._dataset(key).shape
        if shape is None:
            raise ValueError(f"{self._place(key)}: the dataset does not have data")
        return shape

    def array(self, key: str, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Return a dataset's numbers as a new array, in this machine's byte order.

        Args:
            key: The dataset's name in this group.
            shape: The required shape; None for any.
        """
        found = self.shape(key)
        if shape is not None and found != shape:
            raise ValueError(f"{self._place(key)}: expected shape {shape}. Received: shape {found}")
        with _naming(self._place(key)):
            return self._dataset(key).read()

    def attribute(self, key: str) -> data.Value | None:
        """Return an attribute of this group, or None if it is missing or does not have data.

        Text is a string or a list of strings; numbers are a number or an array.
        """
        with _naming(self._file.name, self.name, f"attribute {key!r}"):
            if self._attributes is None:
                found = objects.attribute_messages(self._file.source, self._messages)
                self._attributes = dict(map(objects.parse_attribute, found))
            if key in self._attributes and key not in self._values:
                self._values[key] = data.value(self._file.heap, *self._attributes[key])
            return self._values.get(key)

    def text_list(self, key: str) -> list[str]:
        """Return an attribute of names, joined if Keras split it into ``key0``, ``key1``, ...

        A missing attribute, or an empty one of any type, is an empty list, as for Keras.
        """
        parts = [self.attribute(key)]
        if parts[0] is None:
            parts.clear()
            while (part := self.attribute(f"{key}{len(parts)}")) is not None:
                parts.append(part)
        names: list[str] = []
        for part in parts:
            if isinstance(part, list):
                names += part
            elif not isinstance(part, np.ndarray) or part.size:
                raise ValueError(
                    f"{self._file.name}: {self.name}: attribute {key!r}: expected a list of names. "
                    f"Received: {type(part).__name__}"
                )
        return names

    def total_elements(self) -> int:
        """Return the number of elements of all datasets below this group."""
        return sum(member.total_elements() for member in self._members.values())

    def _find(self, key: str) -> Node | data.Dataset | None:
        found: Node | data.Dataset | None = self
        for part in filter(None, key.split("/")):
            found = found._members.get(part) if isinstance(found, Node) else None
        return found

    def _dataset(self, key: str) -> data.Dataset:
        found = self._find(key)
        if isinstance(found, data.Dataset):
            return found
        some = _some(self.datasets())
        raise ValueError(f"{self._place(key)}: no such dataset. There are: {some}")

    def _place(self, key: str) -> str:
        return f"{self._file.name}: {_join(self.name, key)}"


def _join(path: str, key: str) -> str:
    return f"{path.rstrip('/')}/{key}"


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8])) or "none"
    return f"{shown}, ... ({len(names)})" if len(names) > 8 else shown


@contextmanager
def open_hdf5(file: str | os.PathLike[str] | BinaryIO, name: str) -> Iterator[Node]:
    """Open an HDF5 file for reading and return its first group.

    >>> import h5py, io
    >>> stream = io.BytesIO()
    >>> with h5py.File(stream, "w") as writer:
    ...     writer["dense/kernel"] = [[1.0, 2.0]]
    ...     writer.attrs["layer_names"] = [b"dense"]
    >>> with open_hdf5(stream, "example.h5") as root:
    ...     print(root.text_list("layer_names"), root.group("dense").array("kernel"))
    ['dense'] [[1. 2.]]
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as stream:
            yield read_hdf5(Source(stream), name)
    else:
        yield read_hdf5(Source(file), name)


def superblock_at(source: Source) -> int | None:
    """Return the offset of the file's signature: 0, 512, 1024, 2048, ...; None if missing."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        if source.read(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = max(512, 2 * at)
    return None


def read_hdf5(source: Source, name: str) -> Node:
    """Return the first group of the HDF5 file in ``source``; raises as `open_hdf5`."""
    with _naming(name):
        start = superblock_at(source)
        if start is None:
            raise ValueError("it is not an HDF5 file")
        source = source.part(start, source.size - start)
        address = _first_group(source)
        messages = objects.header(source, address)
        if not objects.is_group(messages):
            raise ValueError("its first object is not a group")
    root = Node(_File(source, name, GlobalHeap(source)), "/", messages)
    _open_below(root, address)
    return root


def _first_group(source: Source) -> int:
    """Return the address of the first group's header from the superblock (II.A)."""
    version = source.read(8, 1)[0]
    if version > 3:
        raise ValueError(f"it is of the unknown HDF5 version {version}")
    old = version < 2
    block = Cursor(source.read(9, 67 if old else 35), "its first block")
    block.take(4 if old else 0)
    sizes = block.number(1), block.number(1)
    if sizes != (8, 8):
        raise ValueError(f"its addresses and lengths take {sizes} bytes instead of 8 each")
    block.take((13 if version == 1 else 9) if old else 1)  # sizes of trees, flags
    base = block.number(8)
    block.take(8)  # free space, or hints for writing
    if (end := block.number(8)) > source.size + base:
        raise ValueError(f"it is truncated: {source.size + base} of {end} bytes are there")
    if old:
        if block.number(8) != UNDEFINED:
            raise ValueError("it is one of several files of a driver, which are not read")
        block.take(8)
    return block.number(8)


def _open_below(root: Node, address: int) -> None:
    """Add every group's members by following the links; each object may appear once."""
    file = root._file
    seen = {address: "/"}
    stored = declared = 0
    groups = [root]
    while groups:
        group = groups.pop()
        with _naming(file.name, group.name):
            members = objects.links(file.source, group._messages)
        for key, address in members:
            path = _join(group.name, key)
            with _naming(file.name, path[: objects.MAX_PATH]):
                # In the names of weights, a backslash separates two groups as well.
                parts = path.count("/") + path.count("\\")
                file.source.spend(0, parts)
                if len(path) > objects.MAX_PATH or parts > _MAX_DEPTH:
                    raise ValueError(f"it is deeper than {_MAX_DEPTH}, or its name is too long")
                if address in seen:
                    raise ValueError(f"it is the same object as {seen[address]}")
                seen[address] = path
                messages = objects.header(file.source, address)
                if objects.is_group(messages):
                    below = group._members[key] = Node(file, path, messages)
                    groups.append(below)
                    continue
                dataset = group._members[key] = data.Dataset.of(file.source, messages)
                stored, declared = stored + dataset.stored, declared + dataset.declared
                if stored > file.source.size:
                    raise ValueError("datasets overlap")
                if declared > allowed_size(stored):
                    raise ValueError(f"data would expand from {stored} bytes to {declared}")
