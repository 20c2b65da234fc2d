"""Writing a file so that there is always a whole one: the old, until the new one is on the disk."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the context ends without an error.

    What is written goes to a temporary file in the same directory, which is on the disk before it
    is renamed. Whatever happens before that, the old file stays and the temporary one goes.

    Args:
        path: The file.
        overwrite: Whether it may exist.

    Raises:
        ValueError: If it exists and ``overwrite`` is False.
        OSError: If it cannot be written.

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
    folder, base = os.path.split(name)
    temporary = os.path.join(folder, f".{base[:100]}.{secrets.token_hex(8)}.tmp")
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
        os.unlink(temporary)
        raise
    _sync_folder(folder)


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
