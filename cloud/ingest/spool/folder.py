"""The spool's folder: making files that last, letting go of them, setting damaged ones aside."""

import os
from pathlib import Path

import structlog

from cloud.ingest.spool.segment import SUFFIX, Segment, Writing, new_path
from tidegate.errors import Misconfigured

MAX_SET_ASIDE = 8
CORRUPT = ".corrupt"

_log = structlog.get_logger()


def check_folder(folder: Path) -> None:
    """Make the folder if need be; raise `Misconfigured` when it cannot be read and written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = list(folder.glob(f"*{SUFFIX}"))
    except OSError as exc:
        raise Misconfigured(f"the spool {folder} cannot be opened: {exc}") from exc
    for path in (folder, *files):
        if not os.access(path, os.R_OK | os.W_OK):
            raise Misconfigured(f"{path} cannot be read and written: give it to this user")


def new_file(folder: Path, record_id: int) -> Writing:
    """Make a file that a power cut does not take away; raise `OSError`, and leave none then."""
    opened = Writing(new_path(folder, record_id))
    try:
        _sync_folder(folder)
    except OSError:
        opened.close()
        opened.segment.path.unlink(missing_ok=True)
        raise
    return opened


def remove(segment: Segment) -> None:
    """Let go of a drained file: delete it, or set it aside when it is damaged.

    Of those set aside the newest are kept.
    """
    path = segment.path
    try:
        if not segment.gaps:
            path.unlink(missing_ok=True)
            return
        path.rename(path.with_name(path.name + CORRUPT))
        for old in sorted(path.parent.glob(f"*{CORRUPT}"))[:-MAX_SET_ASIDE]:
            old.unlink(missing_ok=True)
    except OSError as exc:
        _log.warning("spool.file_stays", file=path.name, reason=str(exc))


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
