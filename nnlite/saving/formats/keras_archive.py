"""Reads three members of Keras's ``.keras`` file, a zip archive, without unpacking it to disk.

The three may also be files in a folder. `zipfile` is not used: it reads a directory of any length,
raises a dozen kinds of errors for a damaged one, and does not tell a stored member's offset.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from nnlite.saving.formats.hdf5 import Node
from nnlite.saving.formats.hdf5.files import allowed_size, read_hdf5, superblock_at
from nnlite.saving.formats.hdf5.source import Cursor, Source
from nnlite.saving.formats.json_text import MAX_JSON, parse_json

_CONFIG, _METADATA, _WEIGHTS = MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
_VOCABULARY = "assets/{}/vocabulary.txt"
_MAX_DIRECTORY = 1 << 20
MAX_VOCABULARY = 1 << 24  # bytes; a million words of English take some 8 MiB
_MAX_METADATA = 1 << 16  # bytes; Keras's versions and the date take some 100
_PIECE = 1 << 20
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 99: "AES"}
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: encrypted, strongly encrypted, masked directory


@dataclass(frozen=True)
class Archive:
    """The content of a ``.keras`` file: the model's config, Keras's metadata and the weights.

    Attributes:
        config: The data of config.json.
        metadata: The data of metadata.json.
        weights: The first group of model.weights.h5, readable while the archive is open.
        vocabulary: Returns the text of ``assets/<place>/vocabulary.txt``, None if there is none.
    """

    config: dict[str, Any]
    metadata: dict[str, Any]
    weights: Node
    vocabulary: Callable[[str], str | None]


@contextmanager
def read_archive(file: str | os.PathLike[str] | BinaryIO) -> Iterator[Archive]:
    """Open a ``.keras`` file, or a folder of its members, for reading.

    Stored weights, as Keras writes them, are read in place; compressed ones are held in memory.
    Besides the three members only vocabularies are read, on demand.
    """
    if isinstance(file, (str, os.PathLike)) and os.path.isdir(file):
        parts = [os.path.join(file, key) for key in MEMBERS]
        if missing := [part for part in parts if not os.path.isfile(part)]:
            raise ValueError(f"not a Keras model: there is no {' and no '.join(missing)}")
        config, metadata = map(_whole, parts, (MAX_JSON, _MAX_METADATA))
        with open(parts[2], "rb") as stream:
            name = os.fspath(file)
            yield _archive(config, metadata, Source(stream), name, partial(_beside, name))
    elif isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as stream:
            yield _read(stream, os.fspath(file))
    else:
        yield _read(file, str(getattr(file, "name", "the archive")))


def _read(file: BinaryIO, name: str) -> Archive:
    source = Source(file)
    try:
        members = _members(source)
        config = _text(source, members[_CONFIG], MAX_JSON)
        metadata = _text(source, members[_METADATA], _MAX_METADATA)
        weights = _weights(source, members[_WEIGHTS])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None

    def vocabulary(place: str) -> bytes | None:
        member = members.get(_VOCABULARY.format(place))
        return None if member is None else _text(source, member, MAX_VOCABULARY)

    return _archive(config, metadata, weights, name, vocabulary)


def _beside(folder: str, place: str) -> bytes | None:
    path = os.path.join(folder, *_VOCABULARY.format(place).split("/"))
    return _whole(path, MAX_VOCABULARY) if os.path.isfile(path) else None


def _whole(path: str, most: int) -> bytes:
    """Return a file's content, which may have ``most`` bytes."""
    with open(path, "rb") as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"{path} has more than {most} bytes, the most that are read")
    return text


def _archive(
    config_text: bytes,
    metadata_text: bytes,
    weights: Source,
    name: str,
    vocabulary: Callable[[str], bytes | None],
) -> Archive:
    config = parse_json(config_text, f"{name}: {_CONFIG}")
    metadata = parse_json(metadata_text, f"{name}: {_METADATA}")
    for key, value in ((_CONFIG, config), (_METADATA, metadata)):
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004 - of a file
                f"{name}: {key}: expected an object. Received: {type(value).__name__}"
            )

    def text(place: str) -> str | None:
        data = vocabulary(place)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: {_VOCABULARY.format(place)}: not UTF-8: {error}") from None

    return Archive(config, metadata, read_hdf5(weights, f"{name}: {_WEIGHTS}"), text)


# ---- the zip format: .ZIP File Format Specification, version 6.3.10 ---------------------------


@dataclass(frozen=True)
class _Member:
    """An entry of the archive's directory, with its sizes packed and unpacked."""

    name: str
    method: int
    checksum: int
    packed: int
    size: int
    offset: int

    def fault(self, what: str) -> ValueError:
        return ValueError(f"{self.name}: {what}")


def _members(source: Source) -> dict[str, _Member]:
    """Return the three members, and vocabularies, by their names (section 4.3.12)."""
    start, size = _directory(source)
    if size > _MAX_DIRECTORY:
        raise ValueError(f"its directory takes {size} bytes; at most {_MAX_DIRECTORY} are read")
    directory = Cursor(source.read(start, size), "the archive's directory")
    seen: set[bytes] = set()
    members: dict[str, _Member] = {}
    while directory.left:
        directory.expect(b"PK\1\2")
        made_by = directory.number(4) >> 8 & 255
        flags, method = directory.number(2), directory.number(2)
        directory.take(4)
        checksum, packed, size = (directory.number(4) for _ in range(3))
        lengths = [directory.number(2) for _ in range(3)]
        directory.take(4)
        mode, offset = directory.number(4) >> 16, directory.number(4)
        raw, extra, _ = map(directory.take, lengths)
        name = raw.decode("utf-8", "replace")
        if raw in seen:
            raise ValueError(f"the member {name!r} is there twice")
        seen.add(raw)
        if flags & _ENCRYPTED:
            raise ValueError(f"the member {name!r} is encrypted")
        if name not in MEMBERS and not name.endswith("/vocabulary.txt"):
            continue
        if made_by == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise ValueError(f"the member {name!r} is a link or device, not a file")
        size, packed, offset = _large(extra, [size, packed, offset])
        members[name] = _Member(name, method, checksum, packed, size, offset)
        if method not in (_STORED, _DEFLATED):
            method_name = _METHODS.get(method, f"method {method}")
            raise ValueError(
                f"the member {name!r} is compressed by {method_name}, which is not read"
            )
    if missing := [name for name in MEMBERS if name not in members]:
        raise ValueError(f"not a Keras model: the archive has no {' and no '.join(missing)}")
    return members


def _directory(source: Source) -> tuple[int, int]:
    """Return the offset and length of the directory (4.3.14 to 4.3.16)."""
    length = min(source.size, 22 + 0xFFFF)
    tail = source.read(source.size - length, length)
    at = tail.rfind(b"PK\5\6", 0, max(0, length - 18))
    if at < 0:
        raise ValueError("it is not a zip archive, or it is truncated")
    end = source.size - length + at
    record = Cursor(tail[at + 4 :], "the archive's end")
    disks = record.number(4)
    count, size, start = record.number(4) >> 16, record.number(4), record.number(4)
    before = source.read(max(0, end - 20), 20)
    large = 0xFFFF_FFFF in (size, start) or count == 0xFFFF
    # Some programs write the end record of large archives, and its locator, for all archives.
    if large or (start + size != end and before.startswith(b"PK\6\7")):
        locator = Cursor(before, "the archive's end")
        locator.expect(b"PK\6\7")
        locator.take(4)
        end = locator.number(8)
        record = Cursor(source.read(end, 56), "the archive's end")
        record.expect(b"PK\6\6")
        record.take(12)
        disks = record.number(8)
        record.take(16)
        size, start = record.number(8), record.number(8)
    if disks:
        raise ValueError("it is one part of an archive in several")
    if start + size != end:
        raise ValueError("its end record does not point to its directory: truncated or damaged")
    return start, size


def _large(extra: bytes, sizes: list[int]) -> list[int]:
    """Return sizes and offset; those that need more than 32 bits are in the extra field (4.5.3)."""
    if 0xFFFF_FFFF not in sizes:
        return sizes
    fields = Cursor(extra, "the archive's directory")
    while fields.left:
        kind, data = fields.number(2), Cursor(fields.take(fields.number(2)), fields.what)
        if kind == 1:
            return [data.number(8) if size == 0xFFFF_FFFF else size for size in sizes]
    raise ValueError("a member's size is missing")


def _start(source: Source, member: _Member) -> int:
    """Return the offset of a member's bytes, after its own header (4.3.7)."""
    local = Cursor(source.read(member.offset, 30), f"the header of {member.name}")
    local.expect(b"PK\3\4")
    local.take(2)
    flags, method = local.number(2), local.number(2)
    local.take(16)
    name_length, extra_length = local.number(2), local.number(2)
    name = source.read(member.offset + 30, name_length)
    if name != member.name.encode() or method != member.method or flags & _ENCRYPTED:
        raise member.fault("its header and the archive's directory differ")
    start = member.offset + 30 + name_length + extra_length
    source.check(start, member.packed)
    if member.method == _STORED and member.packed != member.size:
        raise member.fault(f"{member.size} bytes are declared, {member.packed} stored")
    return start


def _pieces(source: Source, member: _Member) -> Iterator[bytes]:
    """Yield a member's bytes, unpacked, in pieces of at most some MiB."""
    start = _start(source, member)
    steps = range(start, start + member.packed, _PIECE)
    packed = (source.data(at, min(_PIECE, steps.stop - at)) for at in steps)
    checksum = done = 0
    try:
        for piece in packed if member.method == _STORED else _inflated(packed):
            done += len(piece)
            if done > member.size:
                raise member.fault(f"it holds more than the {member.size} bytes it declares")
            checksum = zlib.crc32(piece, checksum)
            yield piece
    except zlib.error as error:
        raise member.fault(f"it cannot be unpacked: {error}") from None
    if done != member.size:
        raise member.fault(f"it holds {done} bytes instead of the {member.size} it declares")
    if checksum != member.checksum:
        raise member.fault("it is damaged: its checksum does not match")


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        while piece:
            yield stream.decompress(piece, _PIECE)
            piece = stream.unconsumed_tail
    yield stream.flush()


def _text(source: Source, member: _Member, most: int) -> bytes:
    if member.size > most:
        raise member.fault(f"it declares {member.size} bytes; at most {most} are read")
    return b"".join(_pieces(source, member))


def _weights(source: Source, member: _Member) -> Source:
    """Return the weights, in place or unpacked in memory."""
    if member.size > allowed_size(member.packed):
        raise member.fault(f"it would expand from {member.packed} bytes to {member.size}")
    if member.method == _STORED:
        for _ in _pieces(source, member):  # for the checksum
            pass
        return source.part(_start(source, member), member.size)
    buffer = io.BytesIO()
    for piece in _pieces(source, member):
        buffer.write(piece)
    return Source(buffer)


class MissingFileError(FileNotFoundError, ValueError):
    """A missing file: a ValueError as in Keras, and a FileNotFoundError as usual."""


# ---- kinds of files ----------------------------------------------------------------------------

_BEGINNINGS = {
    b"version https://git-lfs": "a git-lfs pointer instead of the file: run 'git lfs pull'",
    b"\x80": "a pickle, which is never read: it may run any program",
    b"\x1f\x8b": "compressed by gzip: unpack it first",
    b"\x93NUMPY": "a NumPy array: read it with numpy.load",
    b"<": "a web page or XML, perhaps saved instead of the file",
    b"{": "JSON, without the weights of a model",
}


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return "keras" or "hdf5" by the content of a file or folder, not by its name.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     kind_of(file.name)
    Traceback (most recent call last):
    ...
    ValueError: ...: expected a model file of Keras (.keras, .h5). Received: an empty file
    """
    if os.path.isdir(path):
        found = "a directory"
        if os.path.exists(os.path.join(path, "saved_model.pb")):
            found = "a TensorFlow SavedModel, which needs TensorFlow: save it from there as .keras"
        elif os.path.exists(os.path.join(path, _CONFIG)):
            return "keras"
    elif not os.path.exists(path):
        raise MissingFileError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    else:
        with open(path, "rb") as file:
            source = Source(file)
            start = source.data(0, min(source.size, 32))
            if start[:4] in (b"PK\3\4", b"PK\5\6"):
                return "keras"
            if superblock_at(source) is not None:
                return "hdf5"
        if start[:1] == b"{" and os.fspath(path).endswith(".weights.json"):
            raise ValueError(
                f"{os.fspath(path)}: nnlite does not read weights that Keras has divided among "
                "several files (max_shard_size). Save them from Keras into one file: "
                "model.save_weights('name.weights.h5')."
            )
        known = (what for beginning, what in _BEGINNINGS.items() if start.startswith(beginning))
        found = next(known, f"a file that begins with {start!r}" if start else "an empty file")
    raise ValueError(
        f"{os.fspath(path)}: expected a model file of Keras (.keras, .h5). Received: {found}"
    )
