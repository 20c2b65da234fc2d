"""Messages as Protocol Buffers write them.

Source: Google, "Protocol Buffers: Encoding".
"""

from __future__ import annotations

import struct
from typing import Any


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
    """Return a field: an integer, float, text or bytes; for a list, a field for each entry."""
    if isinstance(value, list):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def message(**fields: Any) -> bytes:
    """Return a message of fields; a keyword is ``_`` and the field's number."""
    return b"".join(_field(int(name[1:]), value) for name, value in fields.items())
