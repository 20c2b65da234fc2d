"""HDF5's containers: B-trees of versions 1 and 2, and local, fractal and global heaps.

Sections (III.A, ...) are those of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnlite.saving.formats.hdf5.source import Cursor, Source

UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF  # the address of a missing object


def tree_v1(source: Source, address: int, kind: int, key_size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the key and address of each child in the leaves of a B-tree of version 1 (III.A.1)."""
    nodes: list[tuple[int, int | None]] = [(address, None)]
    while nodes:
        address, wanted = nodes.pop()
        node = Cursor(source.read(address, 24), "a B-tree node")
        node.expect(b"TREE" + bytes([kind]))
        level, count = node.number(1), node.number(2)
        if wanted not in (None, level):
            raise ValueError(f"a B-tree node is on level {level} instead of {wanted}")
        entries = Cursor(source.read(address + 24, count * (key_size + 8), count), "a B-tree node")
        children = [(entries.take(key_size), entries.number(8)) for _ in range(count)]
        if level:
            nodes.extend((child, level - 1) for _, child in reversed(children))
        else:
            yield from children


def tree_v2(source: Source, address: int, kind: int, record: int) -> Iterator[bytes]:
    """Yield the records, ``record`` bytes each, of a B-tree of version 2 (III.A.2)."""
    header = Cursor(source.read(address, 38), "a B-tree header")
    header.expect(b"BTHD\0" + bytes([kind]))
    node_size, found, depth = header.number(4), header.number(2), header.number(2)
    header.take(2)
    root, count = header.number(8), header.number(2)
    if root == UNDEFINED:
        return
    if depth > 8 or found != record or node_size < 2 * record:
        raise ValueError(
            f"a B-tree header declares depth {depth}, node and record sizes {node_size} and {found}"
        )
    # The sizes of a pointer's two counters follow from the most records below it.
    most = (node_size - 10) // record
    count_size, total_sizes, total = _bytes_for(most), [0], most
    for level in range(1, depth + 1):
        pointer = 8 + count_size + total_sizes[level - 1]
        most = max(0, node_size - 10 - pointer) // (record + pointer)
        total = (most + 1) * total + most
        total_sizes.append(_bytes_for(total))

    nodes = [(root, count, depth)]
    while nodes:
        address, count, level = nodes.pop()
        pointer = 8 + count_size + total_sizes[level - 1] if level else 0
        size = 6 + count * record + (count + 1) * pointer
        node = Cursor(source.read(address, size, count), "a B-tree node")
        node.expect((b"BTIN\0" if level else b"BTLF\0") + bytes([kind]))
        for _ in range(count):
            yield node.take(record)
        if level:
            for _ in range(count + 1):
                nodes.append((node.number(8), node.number(count_size), level - 1))
                node.take(total_sizes[level - 1])


def _bytes_for(number: int) -> int:
    return max(1, (number.bit_length() + 7) // 8)


def local_heap(source: Source, address: int) -> bytes:
    """Return the names in an old-style group (III.D)."""
    heap = Cursor(source.read(address, 32), "a local heap")
    heap.expect(b"HEAP\0")
    heap.take(3)
    size = heap.number(8)
    heap.take(8)
    return source.read(heap.number(8), size)


class FractalHeap:
    """The heap for a new-style group's links or an object's many attributes (III.G)."""

    def __init__(self, source: Source, address: int) -> None:
        self._source = source
        header = Cursor(source.read(address, 142), "a fractal heap")
        header.expect(b"FRHP\0")
        header.take(2)
        if header.number(2):
            raise ValueError("a fractal heap is compressed")
        header.take(1)
        largest = header.number(4)
        header.take(96)
        width, block, direct = header.number(2), header.number(8), header.number(8)
        self._offset_size = (header.number(2) + 7) // 8
        self._length_size = _bytes_for(min(largest, direct))
        header.take(2)
        root, rows = header.number(8), header.number(2)
        self._blocks: list[tuple[int, int, int]] = []  # offset in the heap, size, address
        if root == UNDEFINED:
            return
        if not rows:
            self._blocks.append((0, block, root))
            return
        if rows > 64:
            raise ValueError(f"a fractal heap has {rows} rows of blocks")
        table = Cursor(
            source.read(root, 13 + self._offset_size + 8 * rows * width, rows * width),
            "a heap's table",
        )
        table.expect(b"FHIB\0")
        table.take(8 + self._offset_size)
        offset = 0
        for row in range(rows):
            size = block << max(0, row - 1)  # the first two rows have equal sizes
            if size > direct:
                raise ValueError("a fractal heap is larger than the file of a model can have")
            for _ in range(width):
                if (child := table.number(8)) != UNDEFINED:
                    self._blocks.append((offset, size, child))
                offset += size

    def get(self, key: bytes) -> bytes:
        """Return the object of a heap ID."""
        kind = key[0] >> 4
        if kind == 2:  # tiny: in the ID itself
            return Cursor(key[1:], "a heap ID").take((key[0] & 15) + 1)
        if kind:
            raise ValueError(f"a fractal heap has an object of the unknown kind {kind}")
        place = Cursor(key[1:], "a heap ID")
        offset, length = place.number(self._offset_size), place.number(self._length_size)
        for start, size, address in self._blocks:
            if start <= offset and offset + length <= start + size:
                return self._source.read(address + offset - start, length)
        raise ValueError(f"a heap ID points outside of its heap, to {length} bytes at {offset}")


class GlobalHeap:
    """The heap for strings of variable length (III.E)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}

    def get(self, address: int, index: int, length: int) -> bytes:
        """Return the first ``length`` bytes of an object."""
        if address not in self._collections:
            self._collections[address] = self._collection(address)
        start, size = self._collections[address].get(index, (0, -1))
        if length > size:
            raise ValueError(
                f"the global heap has no object {index} of {length} bytes at {address}"
            )
        return self._source.read(start, length)

    def _collection(self, address: int) -> dict[int, tuple[int, int]]:
        """Return the offset and size of each object of the collection."""
        header = Cursor(self._source.read(address, 16), "a global heap")
        header.expect(b"GCOL\1")
        header.take(3)
        end = address + header.number(8)
        objects: dict[int, tuple[int, int]] = {}
        at = address + 16
        while at + 16 <= end:
            entry = Cursor(self._source.read(at, 16), "a global heap")
            index = entry.number(2)
            if not index:  # the free space at the end
                break
            entry.take(6)
            size = entry.number(8)
            objects[index] = (at + 16, size)
            at += 16 + (size + 7) // 8 * 8
        return objects
