"""Files that are written whole or not at all."""

import os
from pathlib import Path

PRIVATE = 0o600
READABLE = 0o644


def write_whole(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file so that a reader, a crash or a power cut sees the old one or the new one.

    Durable on return. Blocks; the folder must exist.

    Raises:
        OSError: it could not be written; the old file is untouched.
    """
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable: it is an entry of the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
