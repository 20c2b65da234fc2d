"""Writing a file so that there is always a whole one: the old, until the new one is on the disk."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

__all__ = ["atomic_write", "explaining", "remove_leftovers"]

_ADVICE = {
    errno.ENOSPC: "Free some room on the disk, or write elsewhere",
    errno.EDQUOT: "Free some of the room that you may use, or write elsewhere",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or write less",
    errno.ENOENT: "Make its folder first",
    errno.ENOTDIR: "A part of the path is a file and no folder: write elsewhere",
    errno.EEXIST: "A file stands instead of a folder: move it, or write elsewhere",
    errno.EISDIR: "A folder stands instead of the file: move it, or write elsewhere",
}
_OTHERWISE = "See that you may write there, or write elsewhere"


@contextmanager
def atomic_write(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the context ends without an error.

    Folders that are missing are made. What is written goes to a temporary file in the same
    directory, which is on the disk before it is renamed. Whatever happens before that, the old file
    stays and the temporary one goes.

    Args:
        path: The file.
        overwrite: Whether it may exist.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with atomic_write(os.path.join(folder.name, "numbers")) as file:
    ...     _ = file.write(b"123")
    >>> os.listdir(folder.name)
    ['numbers']
    >>> folder.cleanup()
    """
    name = os.path.realpath(os.fspath(path))  # a link stays one: what it leads to is replaced
    if not overwrite and os.path.exists(name):
        raise ValueError(f"{os.fspath(path)} exists already. Give overwrite=True to replace it.")
    if os.path.isdir(name):
        raise IsADirectoryError(f"{os.fspath(path)} is a directory")
    folder = os.path.dirname(name)
    temporary = os.path.join(folder, f"{_prefix(name)}{secrets.token_hex(8)}.tmp")
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
            with suppress(OSError):  # where the folder itself is gone
                os.unlink(temporary)
            raise
    _sync_folder(folder)


def _prefix(name: str) -> str:
    """Return what the names of the temporary files for a file begin with."""
    return f".{os.path.basename(name)[:40]}."  # a name may have 255 bytes, a letter four


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed processes have left beside a file.

    No other process may be writing the file.

    Args:
        path: The file.
    """
    folder, prefix = os.path.dirname(os.path.realpath(path)), _prefix(os.path.realpath(path))
    with suppress(OSError):  # no folder yet, or one that cannot be written: that is said later
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(".tmp"):
                os.unlink(os.path.join(folder, name))


@contextmanager
def explaining(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make any OSError inside one that names ``path`` and says what to do.

    >>> with explaining("model.keras"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device. Free some room on the disk, or write elsewhere: \
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
    """Put the renaming itself on the disk, where a directory can be opened (not on Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the file is renamed all the same
        return
    finally:
        os.close(descriptor)
