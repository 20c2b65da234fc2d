"""Hashing: text and integers into a fixed number of bins, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import dtype_policy, registry
from nnlite.layers.preprocessing.encoding import Encoder
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, as_numeric, as_text, check_count

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def fingerprint64(data: bytes) -> int:
    """Return FarmHash's Fingerprint64 of some bytes, the same on every machine.

    Source: Google's FarmHash 1.1, `farmhashna::Hash64`.

    >>> fingerprint64(b"A")
    16915294056622060564
    """
    size = len(data)

    def at(place: int, width: int = 8) -> int:
        return int.from_bytes(data[place : place + width], "little")

    if size > 64:
        return _long_fingerprint(data)
    mul = _K2 + size * 2
    if size > 16:
        a, b = at(0) * (_K1 if size <= 32 else _K2), at(8)
        c, d = at(size - 8) * mul, at(size - 16) * _K2
        y = _turned(a + b, 43) + _turned(c, 30) + d
        z = a + _turned(b + _K2, 18) + c
        if size <= 32:
            return _mixed(y, z, mul)
        z = _mixed(y, z, mul)
        e, f = at(16) * mul, at(24)
        g, h = (y + at(size - 32)) * mul, (z + at(size - 24)) * mul
        return _mixed(_turned(e + f, 43) + _turned(g, 30) + h, e + _turned(f + a, 18) + g, mul)
    if size >= 8:
        a, b = at(0) + _K2, at(size - 8)
        c, d = _turned(b, 37) * mul + a, (_turned(a, 25) + b) * mul
        return _mixed(c, d, mul)
    if size >= 4:
        return _mixed(size + (at(0, 4) << 3), at(size - 4, 4), mul)
    if size:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[-1] << 2)
        return _shifted(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _turned(value: int, bits: int) -> int:
    value &= _MASK
    return (value >> bits | value << (64 - bits)) & _MASK


def _shifted(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _mixed(u: int, v: int, mul: int) -> int:
    a = _shifted((u ^ v) * mul)
    return _shifted((v ^ a) * mul) * mul & _MASK


def _long_fingerprint(data: bytes) -> int:
    """Return the fingerprint of more than 64 bytes, in blocks of 64."""

    def at(place: int) -> int:
        return int.from_bytes(data[place : place + 8], "little")

    def weak(place: int, a: int, b: int) -> tuple[int, int]:
        a += at(place)
        b = _turned(b + a + at(place + 24), 21)
        c = a
        a += at(place + 8) + at(place + 16)
        return (a + at(place + 24)) & _MASK, (b + _turned(a, 44) + c) & _MASK

    y = 81 * _K1 + 113
    z = _shifted(y * _K2 + 113) * _K2
    x = 81 * _K2 + at(0)
    v, w = (0, 0), (0, 0)
    mul, factor, rest = _K1, 1, (len(data) - 1) & 63
    for place in (*range(0, len(data) - 1 - rest, 64), -64):
        if place < 0:
            place, factor = len(data) - 64, 9
            mul = _K1 + ((z & 255) << 1)
            v0 = v[0] + w[0] + rest
            v, w = (v0, v[1]), (w[0] + rest + v0, w[1])
        x = _turned(x + y + v[0] + at(place + 8), 37) * mul ^ w[1] * factor
        y = _turned(y + v[1] + at(place + 48), 42) * mul + v[0] * factor + at(place + 40)
        z = _turned(z + w[0], 33) * mul & _MASK
        v = weak(place, v[1] * mul, x + w[0])
        w = weak(place + 32, z + w[1], y + at(place + 16))
        x, z = z, x & _MASK
    return _mixed(_mixed(v[0], w[0], mul) + _shifted(y) * _K0 + z, _mixed(v[1], w[1], mul) + x, mul)


def siphash(data: bytes, key: Sequence[int]) -> int:
    """Return SipHash-2-4 of some bytes for a key of two integers of 64 bits.

    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, section 2.

    >>> hex(siphash(bytes(range(15)), [0x0706050403020100, 0x0F0E0D0C0B0A0908]))
    '0xa129ca6149be45e5'
    """
    k0, k1 = (part & _MASK for part in key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    words = [int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8)]
    for word, rounds in (*((word, 2) for word in words), (0, 4)):
        if rounds == 4:
            v2 ^= 0xFF
        v3 ^= word
        for _ in range(rounds):
            v0, v2 = (v0 + v1) & _MASK, (v2 + v3) & _MASK
            v1, v3 = _turned(v1, 51) ^ v0, _turned(v3, 48) ^ v2
            v0 = _turned(v0, 32)
            v2, v0 = (v2 + v1) & _MASK, (v0 + v3) & _MASK
            v1, v3 = _turned(v1, 47) ^ v2, _turned(v3, 43) ^ v0
            v2 = _turned(v2, 32)
        v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3


def hash_bins(entries: Array, bins: int, salt: Sequence[int] | None) -> Array:
    """Return the bin of each entry, hashed as text or as an integer's digits."""
    known: dict[Any, int] = {}
    flat = entries.ravel().tolist()
    for entry in set(flat):
        data = str(entry).encode()
        known[entry] = (fingerprint64(data) if salt is None else siphash(data, salt)) % bins
    return np.array([known[entry] for entry in flat], np.int64).reshape(entries.shape)


def as_salt(salt: Any) -> list[int] | None:
    """Return ``salt``, which is None or one or two integers, as a key of two."""
    key = [salt, salt] if isinstance(salt, int) else salt
    if key is not None and (
        not isinstance(key, (list, tuple))
        or len(key) != 2
        or not all(type(part) is int and 0 <= part <= _MASK for part in key)
    ):
        raise ValueError(
            f"salt must be one or two unsigned integers of up to 64 bits. Received: salt={salt!r}"
        )
    return None if key is None else list(key)


@registry.register()
class Hashing(Encoder):
    """The bin of each entry, out of ``num_bins``, by a hash.

    The hash is FarmHash's Fingerprint64 of the text, or of an integer's digits; with a ``salt`` it
    is SipHash. The bins are those of Keras.

    Args:
        num_bins: The number of bins, including that of ``mask_value``.
        mask_value: An entry that gets bin 0 for itself.
        salt: A key of one or two unsigned integers.
        output_mode: ``"int"`` for the bins' indices, or as for `CategoryEncoding`.
        dtype: ``"int32"`` or ``"int64"`` (the default) for indices of bins; in another mode a
            float type.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``num_bins`` is less than 1, or another argument is invalid.

    >>> Hashing(num_bins=3)(np.array([["A"], ["B"], ["C"], ["D"], ["E"]])).ravel()
    array([1, 0, 1, 1, 2])
    >>> Hashing(num_bins=3, salt=[133, 137])(np.array([["A"], ["B"], ["C"]])).ravel()
    array([1, 2, 1])
    """

    takes_strings = True
    default_input_dtype = "string"

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.set_mode(output_mode)
        if output_mode == "int" and dtype is not None:
            named = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
            if named not in ("int32", "int64"):
                raise ValueError(
                    "dtype must be 'int32' or 'int64' if output_mode='int'. "
                    f"Received: dtype={dtype!r}"
                )
            self.index_type, dtype = str(named), None
        super().__init__(dtype=dtype, **kwargs)
        self.num_bins = check_count("num_bins", num_bins, 1)
        if mask_value is not None and not isinstance(mask_value, (str, int)):
            raise ArgumentError(
                f"mask_value must be text or an integer. Received: mask_value={mask_value!r}"
            )
        self.mask_value = mask_value
        self.salt = as_salt(salt)

    def depth(self) -> int:
        """Return ``num_bins``."""
        return self.num_bins

    def _as_array(self, x: Any) -> Array:
        array = np.asarray(x)
        return as_text("x", x) if array.dtype.kind not in "iubf" else as_numeric("x", array)

    def indices(self, x: Array) -> Array:
        """Return the index of each entry's bin."""
        if x.dtype != object:
            x = self._whole(x)
        if self.mask_value is None or self.num_bins == 1:
            return hash_bins(x, self.num_bins, self.salt)
        if isinstance(self.mask_value, str) != (x.dtype == object):
            raise ArgumentError(
                f"mask_value of layer {self.name!r} must have the type of the entries. "
                f"Received: mask_value={self.mask_value!r}, entries such as {x.flat[0]!r}"
            )
        return np.where(x == self.mask_value, 0, 1 + hash_bins(x, self.num_bins - 1, self.salt))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        config = super().get_config()
        return config | (
            {"dtype": dtype_policy(self.index_type)} if self.output_mode == "int" else {}
        )
