"""The PDF files in the data folder: written whole or not at all. Blocking; call in a thread."""

import os
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def remove(paths: Iterable[Path]) -> None:
    """Remove files; one that is gone already is as good as removed."""
    for path in paths:
        path.unlink(missing_ok=True)
