"""One file of the spool: whole records behind each other, written at the end, read from the front.

Reading trusts nothing: every record is checked again, and what cannot be read is stepped over.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cloud.ingest.spool.frame import HEADER_BYTES, MAGIC, Header, header_of, is_whole

SUFFIX = ".seg"
_KEY_BYTES = 16
_SEARCH_BYTES = 1024 * 1024


class Found(NamedTuple):
    """A whole record, and where it lies in its file."""

    header: Header
    body: bytes
    start: int

    @property
    def end(self) -> int:
        """Return where the next record begins."""
        return self.start + HEADER_BYTES + len(self.body)

    @property
    def census(self) -> bytes:
        """Return the packed census."""
        return self.body[: self.header.census_bytes]

    @property
    def contents(self) -> bytes:
        """Return the packed contents."""
        return self.body[self.header.census_bytes :]


class Gap(NamedTuple):
    """A place in a file that cannot be read as records."""

    start: int
    end: int


@dataclass(slots=True)
class Segment:
    """A file, and how far it is used: records from `at` to `size` are still to be drained.

    `gaps` holds where a gap was found to begin; a file with one is set aside, not deleted.
    """

    path: Path
    at: int = 0
    size: int = 0
    gaps: set[int] = field(default_factory=set)

    @property
    def key(self) -> bytes:
        """Return the key of its records' checksums; a name that is not ours gives one of none."""
        return key_of(self.path)

    @property
    def is_drained(self) -> bool:
        """Return whether nothing is left to be drained."""
        return self.at >= self.size

    def records(self, *, whole: bool = False) -> Iterator[Found | Gap]:
        """Return the records still to be drained, or all of them, and the gaps between them.

        What is appended from now on is left to the next call: it may lie half-written in the
        reader's buffer.
        """
        at, stop = 0 if whole else self.at, self.size
        try:
            with self.path.open("rb") as file:
                while at < stop:
                    found = _found_at(file, at, stop, key=self.key)
                    yield found
                    at = found.end
        except OSError:
            yield Gap(at, stop)

    def written_ms(self) -> int | None:
        """Return when the record at the front was written, None when that cannot be read."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                header = header_of(file.read(HEADER_BYTES))
        except OSError:
            return None
        return None if header is None else header.written_ms


class Writing:
    """A segment that is being written; it has a file of its own until `close`."""

    def __init__(self, path: Path) -> None:
        """Make a new file; raise `OSError` when it cannot be."""
        self.segment = Segment(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)

    def append(self, record: bytes, *, at: int) -> None:
        """Write a record at a place, the file's end; durable on return.

        Raises:
            OSError: it was not written: the file ends at `at`, which is durable too.
            HalfWritten: it was not written, and its beginning may be in the file for good.
        """
        try:
            self._write(record, at)
            os.fsync(self._file)
        except OSError as exc:
            self._cut(at, exc)
            raise

    def close(self) -> None:
        """Close the file; what was appended is durable."""
        os.close(self._file)

    def _write(self, record: bytes, at: int) -> None:
        rest = memoryview(record)
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written

    def _cut(self, at: int, cause: OSError) -> None:
        try:
            os.ftruncate(self._file, at)
            os.fsync(self._file)
        except OSError as exc:
            raise HalfWritten(f"{cause}; then {exc}") from exc


class HalfWritten(Exception):
    """A record was refused by the disk, and cannot be taken back."""


def new_path(folder: Path, first_id: int) -> Path:
    """Return the path of a new file whose first record will be `first_id`; its key is random."""
    return folder / f"{first_id:020d}-{secrets.token_hex(_KEY_BYTES)}{SUFFIX}"


def key_of(path: Path) -> bytes:
    """Return the key that a file's name carries; of a foreign name one that fits no record."""
    return path.name.removesuffix(SUFFIX).rpartition("-")[2].encode()[: 2 * _KEY_BYTES]


def cut(path: Path, size: int) -> None:
    """Cut a file off behind its first `size` bytes, durably; raise `OSError`."""
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _found_at(file: BinaryIO, at: int, stop: int, *, key: bytes) -> Found | Gap:
    found = _record_at(file, at, stop, key=key)
    return found or Gap(at, _next_record(file, at + 1, stop, key=key))


def _record_at(file: BinaryIO, at: int, stop: int, *, key: bytes) -> Found | None:
    file.seek(at)
    header = header_of(file.read(min(HEADER_BYTES, stop - at)))
    if header is None or at + HEADER_BYTES + header.body_bytes > stop:
        return None
    body = file.read(header.body_bytes)
    return Found(header, body, at) if is_whole(header, body, key=key) else None


def _next_record(file: BinaryIO, at: int, stop: int, *, key: bytes) -> int:
    """Return where the next whole record begins at or behind `at`; `stop` when there is none."""
    while at < stop:
        at = _next_magic(file, at, stop)
        if at >= stop or _record_at(file, at, stop, key=key) is not None:
            break
        at += 1
    return min(at, stop)


def _next_magic(file: BinaryIO, at: int, stop: int) -> int:
    while at < stop:
        file.seek(at)
        window = file.read(min(_SEARCH_BYTES, stop - at))
        place = window.find(MAGIC)
        if place >= 0:
            return at + place
        if at + len(window) >= stop or len(window) < len(MAGIC):
            break
        at += len(window) - len(MAGIC) + 1
    return stop
