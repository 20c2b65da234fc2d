"""Reads bytes of a file within a budget, and takes fields from them.

Every read of a file's structure goes through `Source.read`, which never reads beyond the file and
counts every byte and entry. It refuses more than any model's file needs. Reading any file thus
ends soon and takes little memory, and loops over its structure need no limits of their own.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_BUDGET = 16 << 20  # bytes of structure; 5,000 groups of one weight each take some 11 MiB
_ENTRY_COST = 96  # bytes that stand for an entry's time and memory, besides its bytes in the file


class Source:
    """The bytes ``start`` to ``start + size`` of an open file.

    Args:
        file: A file open for reading bytes, with ``seek``.
        start: The offset of this source in the file.
        size: The number of bytes; None for all up to the file's end.
    """

    def __init__(self, file: BinaryIO, start: int = 0, size: int | None = None) -> None:
        self._file, self._start = file, start
        self.size = file.seek(0, 2) - start if size is None else size
        self._budget = _BUDGET

    def part(self, start: int, size: int) -> Source:
        """Return ``size`` bytes from ``start`` on as a source with its own budget."""
        return Source(self._file, self._start + start, size)

    def spend(self, count: int, entries: int = 1) -> None:
        """Take ``count`` bytes and ``entries`` entries from the budget."""
        self._budget -= count + entries * _ENTRY_COST
        if self._budget < 0:
            raise ValueError("there is more structure than the file of a model can have")

    def read(self, offset: int, count: int, entries: int = 1) -> bytes:
        """Return ``count`` bytes of structure, which hold ``entries`` entries."""
        self.check(offset, count)
        self.spend(count, entries)
        return self.data(offset, count)

    def data(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes of content, which do not count in the budget."""
        self.check(offset, count)
        self._file.seek(self._start + offset)
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError(f"the file ended while {count} bytes were read at {offset}")
        return data

    def data_into(self, offset: int, array: NDArray[np.uint8]) -> None:
        """Fill the array with the bytes of content at ``offset``; raises as `data`."""
        self.check(offset, array.size)
        self._file.seek(self._start + offset)
        if self._file.readinto(array.data) != array.size:  # type: ignore[attr-defined]
            raise ValueError(f"the file ended while {array.size} bytes were read at {offset}")

    def check(self, offset: int, count: int) -> None:
        """Raise a ValueError if ``count`` bytes at ``offset`` are not all there."""
        if offset + count > self.size:
            raise ValueError(
                f"it points to {count} bytes at {offset}, beyond its {self.size} bytes: it is "
                "truncated or damaged"
            )


class Cursor:
    """Takes fields from bytes, one after another: little-endian numbers and strings of bytes.

    >>> cursor = Cursor(bytes([2, 0, 65, 66]), "a name")
    >>> cursor.take(cursor.number(2))
    b'AB'
    """

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.what, self.at = data, what, 0

    @property
    def left(self) -> int:
        """The number of bytes not taken yet."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes; raises a ValueError if there are fewer."""
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise ValueError(f"{self.what} ends too soon")
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        """Return the next ``size`` bytes as an unsigned number."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, wanted: bytes) -> None:
        """Take the bytes ``wanted``; raises a ValueError if the next bytes differ."""
        found = self.take(len(wanted))
        if found != wanted:
            raise ValueError(f"{self.what} begins with {found!r} instead of {wanted!r}")

    def text(self, count: int) -> str:
        """Return the next ``count`` bytes, up to the first zero, as text."""
        data = self.take(count).partition(b"\0")[0]
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{self.what} holds {data[:80]!r}, which is not UTF-8") from None
