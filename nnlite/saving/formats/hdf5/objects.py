"""The headers of HDF5 groups and datasets, and the messages in them.

Sections (IV.A, ...) are those of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnlite.saving.formats.hdf5.source import Cursor, Source
from nnlite.saving.formats.hdf5.trees import UNDEFINED, FractalHeap, local_heap, tree_v1, tree_v2

DATASPACE, LINK_INFO, DATATYPE, LINK = 1, 2, 3, 6
EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE = 7, 8, 11, 12
_CONTINUATION, SYMBOL_TABLE, _ATTRIBUTE_INFO = 16, 17, 21
_IGNORED = {0, 4, 5, 10, 13, 14, 18, 19, 22, 23}  # fill values, times, comments, counts, hints
_KNOWN = {
    *(DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE),
    *(_CONTINUATION, SYMBOL_TABLE, _ATTRIBUTE_INFO),
    *_IGNORED,
}
MAX_PATH = 1024  # bytes; each object keeps its own path in memory
_SHARED = 2  # the flag of a message stored elsewhere, such as a named type

Message = tuple[int, int, bytes]  # type, flags, content


def header(source: Source, address: int) -> list[Message]:
    """Return the messages of an object (IV.A.1)."""
    start = Cursor(source.read(address, 16), "an object header")
    if start.data[:4] == b"OHDR":
        start.take(4)
        version, flags = start.number(1), start.number(1)
        at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        size_bytes = 1 << (flags & 3)
        size = Cursor(source.read(at, size_bytes), "an object header").number(size_bytes)
        blocks = [(at + size_bytes, size)]
    else:
        version, flags = start.number(2), 0
        start.take(6)
        blocks = [(address + 16, start.number(4))]
    if version != (2 if start.data[:4] == b"OHDR" else 1):
        raise ValueError(f"an object header is of the unknown version {version}")

    messages: list[Message] = []
    for at, size in blocks:  # the list grows during the loop
        block = Cursor(source.read(at, size), "an object header")
        if version == 2 and at != blocks[0][0]:
            block.expect(b"OCHK")
            block.data = block.data[:-4]  # without the checksum
        for kind, own, data in _messages(block, version, flags):
            source.spend(0)
            if kind not in _KNOWN:
                raise ValueError(f"an object has a message of the unknown type {kind}")
            if kind == _CONTINUATION:
                place = Cursor(data, "an object header")
                blocks.append((place.number(8), place.number(8)))
            elif kind not in _IGNORED:
                messages.append((kind, own, data))
    return messages


def _messages(block: Cursor, version: int, flags: int) -> Iterator[Message]:
    """Yield the messages of one block of a header."""
    ordered = version == 2 and flags & 4
    prefix = 8 if version == 1 else 6 if ordered else 4
    while block.left >= prefix:
        kind = block.number(2 if version == 1 else 1)
        size, own = block.number(2), block.number(1)
        block.take(3 if version == 1 else 2 if ordered else 0)
        yield kind, own, block.take(size)


def one(messages: list[Message], kind: int, what: str) -> bytes:
    """Return the content of the one message of a type."""
    found = [(flags, data) for type_, flags, data in messages if type_ == kind]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} descriptions of its {what}")
    if found[0][0] & _SHARED:
        raise ValueError(f"its {what} is a named or shared one, which is not read")
    return found[0][1]


def is_group(messages: list[Message]) -> bool:
    """Return whether an object with these messages has members."""
    return any(kind in (SYMBOL_TABLE, LINK_INFO) for kind, _, _ in messages)


# ---- links -----------------------------------------------------------------------------------


def links(source: Source, messages: list[Message]) -> list[tuple[str, int]]:
    """Return the names and addresses of a group's members.

    They are in the order of creation if the file has it, else sorted by name.
    """
    found: list[tuple[int, str, int]] = []
    for kind, _, data in messages:
        if kind == SYMBOL_TABLE:
            found += _symbols(source, data)
        elif kind == LINK:
            found.append(_link(data))
        elif kind == LINK_INFO:
            info = Cursor(data, "a group")
            info.take(1)
            info.take(8 if info.number(1) & 1 else 0)
            heap, names = info.number(8), info.number(8)
            if heap != UNDEFINED:
                store = FractalHeap(source, heap)
                found += [_link(store.get(record[4:])) for record in tree_v2(source, names, 5, 11)]
    found.sort()
    names_seen: set[str] = set()
    for _, name, _ in found:
        if not name or "/" in name or name in names_seen:
            raise ValueError(f"a group has the name {name!r} twice, or the name is not allowed")
        names_seen.add(name)
    return [(name, address) for _, name, address in found]


def _symbols(source: Source, message: bytes) -> Iterator[tuple[int, str, int]]:
    """Yield the links of an old-style group (III.B, III.C): no order, name, address."""
    place = Cursor(message, "a group")
    tree, heap = place.number(8), place.number(8)
    names = local_heap(source, heap)
    for _, address in tree_v1(source, tree, 0, 8):
        start = Cursor(source.read(address, 8), "a group's node")
        start.expect(b"SNOD\1\0")
        count = start.number(2)
        node = Cursor(source.read(address + 8, 40 * count, count), "a group's node")
        for _ in range(count):
            offset, target, cache = node.number(8), node.number(8), node.number(4)
            node.take(20)
            end = names.find(b"\0", offset, offset + MAX_PATH)
            if end < 0:
                raise ValueError("a group's node does not point to a name, or the name is too long")
            name = Cursor(names[offset:end], "a group").text(end - offset)
            if cache == 2:
                raise ValueError(f"{name!r} is a soft link, which is not followed")
            yield 0, name, target


def _link(data: bytes) -> tuple[int, str, int]:
    """Return the order, name and address in a link message (IV.A.2.g)."""
    message = Cursor(data, "a link")
    message.expect(b"\1")
    flags = message.number(1)
    kind = message.number(1) if flags & 8 else 0
    order = message.number(8) if flags & 4 else 0
    message.take(1 if flags & 16 else 0)
    name = message.text(message.number(1 << (flags & 3)))
    if kind:
        word = {1: "a soft link", 64: "an external link"}.get(kind, f"a link of type {kind}")
        raise ValueError(f"{name!r} is {word}, which is not followed")
    return order, name, message.number(8)


# ---- attributes ------------------------------------------------------------------------------


def attribute_messages(source: Source, messages: list[Message]) -> Iterator[bytes]:
    """Yield the attribute messages of an object."""
    for kind, flags, data in messages:
        if kind == ATTRIBUTE:
            if flags & _SHARED:
                raise ValueError("it has a shared attribute, which is not read")
            yield data
        elif kind == _ATTRIBUTE_INFO:
            info = Cursor(data, "an attribute")
            info.take(1)
            info.take(2 if info.number(1) & 1 else 0)
            heap, names = info.number(8), info.number(8)
            if heap != UNDEFINED:
                store = FractalHeap(source, heap)
                for record in tree_v2(source, names, 8, 17):
                    if record[8] & _SHARED:
                        raise ValueError("it has a shared attribute, which is not read")
                    yield store.get(record[:8])


def parse_attribute(data: bytes) -> tuple[str, tuple[bytes, bytes, bytes]]:
    """Return the name of an attribute, and its datatype, dataspace and data (IV.A.2.m)."""
    message = Cursor(data, "an attribute")
    version, flags = message.number(1), message.number(1)
    if not 1 <= version <= 3:
        raise ValueError(f"an attribute is of the unknown version {version}")
    sizes = [message.number(2) for _ in range(3)]
    message.take(1 if version == 3 else 0)
    parts = []
    for size in sizes:
        parts.append(message.take(size))
        message.take(-size % 8 if version == 1 else 0)
    name = Cursor(parts[0], "an attribute").text(len(parts[0]))
    if version > 1 and flags & 3:
        raise ValueError(f"the attribute {name!r} is of a named type, which is not read")
    return name, (parts[1], parts[2], message.take(message.left))
