"""The log of the child: bounded, and its last line for error messages."""

import os
import shutil
from pathlib import Path
from typing import IO

MAX_LOG_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 4096


def start_log(path: Path) -> IO[bytes]:
    """Open the log for appending; a large one becomes `NAME.1` first."""
    shorten(path)
    return path.open("ab")


def shorten(path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Copy a log over `max_bytes` to `NAME.1` and empty it; its writer appends and goes on.

    Lines written between the two are lost; the log is for people, not for accounting.
    """
    if path.exists() and path.stat().st_size > max_bytes:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def last_line(path: Path) -> str:
    """Return the last line of the log that says something, or a remark that there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
