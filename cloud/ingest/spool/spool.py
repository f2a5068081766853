"""The spool: records in files of a folder, appended at the end, drained from the front.

Plain blocking calls, for one thread that appends and one that drains. An appended record counts
once it is confirmed: the ledger has committed it then.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from cloud.ingest.spool.contents import Census
from cloud.ingest.spool.folder import check_folder, new_file, remove
from cloud.ingest.spool.frame import Draft, framed
from cloud.ingest.spool.front import Front, front_of
from cloud.ingest.spool.segment import SUFFIX, HalfWritten, Segment, Writing, cut
from cloud.ingest.spool.survey import Known, count, survey
from cloud.settings import Spool as Settings

MAX_SEGMENT_BYTES = 8 * 1024 * 1024
_SEGMENTS_AT_LEAST = 8

_log = structlog.get_logger()


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class SpoolFull(Exception):
    """The spool takes nothing now: its bound is reached, or the disk refuses. Nothing was kept."""


class _Pending(NamedTuple):
    record_id: int
    end: int
    readings: int
    written_ms: int


class Spool:
    """What waits on disk for the store. `recover` it before anything else is done.

    Its attributes may be looked at from any thread: `is_empty` when nothing is left to be
    drained, `is_full` since something was refused and until there may be room.
    """

    def __init__(
        self, folder: Path, settings: Settings, *, now_ms: Callable[[], int] = _wall_clock_ms
    ) -> None:
        """Look at the folder; raise `Misconfigured` when it cannot be read and written."""
        self._folder, self._settings, self._now_ms = folder, settings, now_ms
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._writing: Writing | None = None
        self._pending: _Pending | None = None
        self._last_id = self._drained_id = 0
        self._segment_bytes = min(MAX_SEGMENT_BYTES, settings.max_bytes // _SEGMENTS_AT_LEAST)
        self._is_broken = False
        self.is_full, self.is_empty = settings.max_bytes == 0, True
        self.size_bytes = self.records = self.readings = self.corrupt_files = 0
        self._oldest_ms: int | None = None
        check_folder(folder)

    @property
    def max_bytes(self) -> int:
        """Return how large the spool's files may be together."""
        return self._settings.max_bytes

    @property
    def oldest_s(self) -> float:
        """Return how long the record at the front waits, 0 when there is none."""
        oldest_ms = self._oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, (self._now_ms() - oldest_ms) / 1_000)

    @property
    def last_id(self) -> int:
        """Return the number of the record appended last."""
        return self._last_id

    def recover(self, known: Known) -> Census:
        """Take over what an earlier process left; return the readings that are there.

        It never refuses: what cannot be read is set aside once the rest of its file is drained.
        """
        found = survey(self._folder.glob(f"*{SUFFIX}"), known)
        with self._lock:
            self._segments = deque(found.segments)
            self.is_empty = not found.pending.records
            self._last_id = max(known.appended or 0, found.pending.last_id)
            self._drained_id = known.drained
            self.records, self.readings = found.pending.records, found.pending.readings
            self.size_bytes = sum(segment.size for segment in self._segments)
            if found.cut is not None:
                self._cut(*found.cut)
            for segment in self._segments:
                if segment.gaps:
                    self._note_damage(segment)
            self._retire()
        return found.pending.census

    def census(self) -> Census:
        """Read everything to be drained once more; return the readings that are there.

        Nothing may be appended meanwhile, nor drained.
        """
        found = count(self._segments, after=self._drained_id)
        self.records, self.readings = found.records, found.readings
        return found.census

    def append(self, draft: Draft) -> int:
        """Write a record; durable on return. Return its number; it counts once confirmed.

        Raises:
            SpoolFull: nothing was kept.
        """
        with self._lock:
            try:
                self._check_room(draft.size_bytes)
                return self._append(draft)
            except SpoolFull:
                self.is_full = True
                raise

    def confirm(self) -> None:
        """Count the record appended last: the ledger knows it."""
        with self._lock:
            pending, writing = self._pending, self._writing
            if pending is None or writing is None:
                return
            if self.is_empty:
                self.is_empty, self._oldest_ms = False, pending.written_ms
            writing.segment.size = pending.end
            self.records += 1
            self.readings += pending.readings
            self._pending = None

    def front(self, max_readings: int) -> Front | None:
        """Return the first records, of about so many readings; None when there is nothing."""
        with self._lock:
            segment = next((one for one in self._segments if not one.is_drained), None)
            last_id = self._drained_id
        if segment is None:
            return None
        was_whole = not segment.gaps
        front = front_of(segment, after=last_id, max_readings=max_readings)
        if front.is_damaged and was_whole:
            self._note_damage(segment)
        return front

    def drained(self, front: Front) -> None:
        """Let records go: they have their fate, and the ledger knows it."""
        readings = sum(len(one.taken) for part in front.contents for one in part.messages)
        with self._lock:
            front.segment.at, self._drained_id = front.end, front.last_id
            self.records -= len(front.contents)
            self.readings -= readings
            self._retire()

    def _check_room(self, size_bytes: int) -> None:
        if self._is_broken:
            raise SpoolFull("a record could not be taken back: the disk fails; see the log")
        if self.size_bytes + size_bytes > self._settings.max_bytes:
            raise SpoolFull(f"{self._settings.max_bytes} bytes are in use: ingest.spool.max_bytes")
        try:
            disk = os.statvfs(self._folder)
        except OSError as exc:
            raise SpoolFull(str(exc)) from exc
        if disk.f_bavail * disk.f_frsize - size_bytes < self._settings.keep_free_bytes:
            raise SpoolFull("the disk is nearly full: ingest.spool.keep_free_bytes")

    def _append(self, draft: Draft) -> int:
        record_id, written_ms = self._last_id + 1, self._now_ms()
        try:
            writing = self._open_for(record_id)
            at, key = writing.segment.size, writing.segment.key
            writing.append(framed(draft, record_id, written_ms=written_ms, key=key), at=at)
        except OSError as exc:
            raise SpoolFull(str(exc)) from exc
        except HalfWritten as exc:
            self._is_broken = True
            _log.error("spool.broken", folder=str(self._folder), reason=str(exc))
            raise SpoolFull(str(exc)) from exc
        self._last_id, self.is_full = record_id, False
        self.size_bytes += draft.size_bytes
        self._pending = _Pending(record_id, at + draft.size_bytes, draft.readings, written_ms)
        return record_id

    def _open_for(self, record_id: int) -> Writing:
        """Return the file to append to, a new one when there is none or it is large enough."""
        writing = self._writing
        if writing is not None and writing.segment.size <= self._segment_bytes:
            return writing
        opened = new_file(self._folder, record_id)
        if writing is not None:
            writing.close()
        self._writing = opened
        self._segments.append(opened.segment)
        return opened

    def _retire(self) -> None:
        """Let go of the files at the front that are drained."""
        while self._segments and self._segments[0].is_drained:
            segment, writing = self._segments[0], self._writing
            if writing is not None and writing.segment is segment:
                if self._pending is not None:
                    break
                writing.close()
                self._writing = None
            self._segments.popleft()
            self.size_bytes -= segment.size
            self.is_full = self._is_broken or self._settings.max_bytes == 0
            remove(segment)
        self.is_empty = all(segment.is_drained for segment in self._segments)
        self._oldest_ms = self._segments[0].written_ms() if self._segments else None

    def _cut(self, segment: Segment, size: int) -> None:
        try:
            cut(segment.path, size)
        except OSError as exc:
            self._is_broken = True
            _log.error("spool.broken", folder=str(self._folder), reason=str(exc))
        self.size_bytes -= segment.size - size
        segment.size, segment.at = size, min(segment.at, size)
        segment.gaps = {gap for gap in segment.gaps if gap < size}

    def _note_damage(self, segment: Segment) -> None:
        self.corrupt_files += 1
        _log.error(
            "spool.corrupt",
            file=segment.path.name,
            hint="its readable records are used, then it is kept as *.corrupt",
        )
