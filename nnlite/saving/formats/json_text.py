"""Reads JSON from a file within limits of size and depth, which bound time and memory."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

MAX_JSON = 8 << 20  # bytes; the config of a thousand layers takes about 1 MiB
_MAX_MARKS = 1_000_000  # brackets, commas, quotes: a thousand layers have some 150,000
_MAX_DEPTH = 100  # Python's own limit is some 900, which also bounds recursion over the result
_MAX_DIGITS = 400  # json writes at most 24 for a float64

_STRING = re.compile(rb'"[^"]*"')
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_json(text: bytes | str, what: str) -> Any:
    """Return the data in the JSON ``text``. NaN and Infinity are numbers, as Python writes them.

    >>> parse_json(b'{"units": 3, "rate": NaN}', "config.json")
    {'units': 3, 'rate': nan}
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        _check_size(data)
        return json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_int=lambda digits: int(_short(digits)),
            parse_float=lambda digits: float(_short(digits)),
        )
    except ValueError as error:
        raise ValueError(f"{what}: not valid JSON of a model: {error}") from None


def _check_size(data: bytes) -> None:
    """Raise a ValueError if parsing would take more memory or depth than a model's text needs."""
    if len(data) > MAX_JSON:
        raise ValueError(f"it has {len(data)} bytes; at most {MAX_JSON} are read")
    if (marks := sum(map(data.count, (b"[", b"]", b"{", b"}", b",", b'"')))) > _MAX_MARKS:
        raise ValueError(
            f"it has {marks} brackets, commas and quotes; at most {_MAX_MARKS} are read"
        )
    outside = _STRING.sub(b"", data.replace(rb"\\", b"").replace(rb"\"", b""))
    steps = _STEPS[np.frombuffer(outside.translate(None, _NOT_BRACKETS), np.uint8)]
    if (depth := int(np.cumsum(steps, dtype=np.int32).max(initial=0))) > _MAX_DEPTH:
        raise ValueError(f"it is nested {depth} deep; at most {_MAX_DEPTH} are read")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key[:80]!r} appears twice in one object")
        result[key] = value
    return result


def _short(digits: str) -> str:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits; at most {_MAX_DIGITS} are read")
    return digits
