"""The detectors' state on disk: one `.npz` file, replaced as a whole, never pickled."""

import os
import zipfile
import zlib
from pathlib import Path

import msgspec
import numpy as np

from cloud.analytics.ensemble import Bank
from cloud.analytics.layout import COLUMN_NAMES
from cloud.analytics.scoring import Snapshot
from wire.ids import SeriesKey

_PARTS = ("header", "last_ms", "state")


class Unusable(Exception):
    """The file is damaged or was written by another version of the detector."""


class _Header(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    keys: list[SeriesKey]


def save(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot: durable on return, the old file stays whole until then.

    Raises:
        OSError: it could not be written; the old file is untouched.
    """
    header = msgspec.json.encode(_Header(COLUMN_NAMES, snapshot.keys))
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        np.savez(
            file,
            header=np.frombuffer(header, np.uint8),
            last_ms=snapshot.last_ms,
            state=snapshot.bank.snapshot(),
        )
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path) -> Snapshot | None:
    """Read a snapshot; None when there is none yet.

    Raises:
        Unusable: see there; the caller sets the file aside and starts without history.
    """
    try:
        # Opened here, because numpy does not close what it cannot read.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            header, last_ms, state = (_array(archive, name) for name in _PARTS)
        return _checked(header, last_ms, state)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as exc:
        raise Unusable(f"{path.name}: {exc}") from exc


def set_aside(path: Path) -> Path:
    """Rename an unusable file, so that it can be looked at; return its new path."""
    aside = path.with_name(path.name + ".unusable")
    path.replace(aside)
    return aside


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _checked(header: np.ndarray, last_ms: np.ndarray, state: np.ndarray) -> Snapshot:
    """Build a snapshot; raise ValueError where its parts do not fit together."""
    try:
        found = msgspec.json.decode(header.tobytes(), type=_Header)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"header: {exc}") from exc
    if last_ms.dtype != np.int64 or not len(found.keys) == len(last_ms) == len(state):
        raise ValueError("its parts differ in length")
    if len(set(found.keys)) != len(found.keys):
        raise ValueError("a series comes twice")
    return Snapshot(found.keys, last_ms, Bank.from_snapshot(state, found.columns))
