"""Atomic writes: a file is replaced only when the new one is on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_ADVICE = {
    errno.ENOSPC: "Free some space on the disk, or write elsewhere",
    errno.EDQUOT: "Free some of your disk quota, or write elsewhere",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or write less",
    errno.ENOENT: "Create its folder first",
    errno.ENOTDIR: "A part of the path is a file, not a folder: write elsewhere",
    errno.EEXIST: "A file has the name of a folder: move it, or write elsewhere",
    errno.EISDIR: "A folder has the name of the file: move it, or write elsewhere",
}
_OTHERWISE = "Check the permissions, or write elsewhere"


@contextmanager
def atomic_write(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` when the context ends without an error.

    Missing folders are created. The data go to a temporary file in the same folder, which is
    renamed once it is on disk. On an error the old file is kept and the temporary file is deleted.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with atomic_write(os.path.join(folder.name, "numbers")) as file:
    ...     _ = file.write(b"123")
    >>> os.listdir(folder.name)
    ['numbers']
    >>> folder.cleanup()
    """
    name = os.path.realpath(os.fspath(path))  # replace the target of a link
    if not overwrite and os.path.exists(name):
        raise ValueError(f"{os.fspath(path)} already exists. Pass overwrite=True to replace it.")
    if os.path.isdir(name):
        raise IsADirectoryError(f"{os.fspath(path)} is a directory")
    folder = os.path.dirname(name)
    temporary = os.path.join(folder, f"{_prefix(name)}{os.urandom(8).hex()}.tmp")
    with explaining(path):
        os.makedirs(folder, exist_ok=True)
        file = open(temporary, "x+b")  # noqa: SIM115  closed before it is renamed
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if os.path.exists(name):
                os.chmod(temporary, os.stat(name).st_mode & 0o777)
            os.replace(temporary, name)
        except BaseException:
            with suppress(OSError):  # the folder may be gone
                os.unlink(temporary)
            raise
    _sync_folder(folder)


def append_whole(
    path: str | os.PathLike[str], end: int | None, data: Callable[[int], bytes]
) -> int:
    """Write at the end of a file; what cannot be written whole is taken back.

    Args:
        path: The file.
        end: How many of its bytes stay, at most; None for all.
        data: Called with the number of bytes that stay; returns what to write behind them.

    Returns:
        The number of the file's bytes.
    """
    with explaining(path), open(path, "ab", buffering=0) as file:
        end = file.tell() if end is None else min(end, file.tell())
        file.truncate(end)
        rest = memoryview(data(end))
        try:
            while rest:
                rest = rest[file.write(rest) :]
            return file.tell()
        except OSError:
            file.truncate(end)
            raise


def _prefix(name: str) -> str:
    """Return the prefix of the temporary files of a file."""
    return f".{os.path.basename(name)[:40]}."  # of at most 255 bytes


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove temporary files of killed processes; no other process may be writing the file."""
    folder, prefix = os.path.dirname(os.path.realpath(path)), _prefix(os.path.realpath(path))
    with suppress(OSError):  # errors of the folder are reported later
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(".tmp"):
                os.unlink(os.path.join(folder, name))


@contextmanager
def explaining(path: str | os.PathLike[str]) -> Iterator[None]:
    """Context that adds ``path`` and advice to any OSError.

    >>> with explaining("model.keras"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device. Free some space on the disk, or write elsewhere: \
'model.keras'
    """
    try:
        yield
    except OSError as error:
        number = error.errno or errno.EIO
        advice = _ADVICE.get(number, _OTHERWISE)
        what = error.strerror or str(error)
        raise OSError(number, f"{what}. {advice}", os.fspath(path)) from error


def _sync_folder(folder: str) -> None:
    """Flush a renaming to disk, if directories can be opened (not on Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # not supported by some network file systems
        return
    finally:
        os.close(descriptor)
