"""The ledger: what became of every reading, kept in `ingest.db`.

It is committed after the store's write and before the acknowledgement. A crash in between makes
the broker repeat the messages: they are written again (idempotent) and counted then, once.
Readings without boot and sequence are not recognised when they come twice: they are stored
again, which changes nothing, and counted again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from cloud.ingest.accounts import Entry, LedgerView, Letter, LetterQuery
from cloud.ingest.ledger_file import LedgerFile
from cloud.ingest.spans import Spans
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey

_READERS = 2


class LedgerAway(Exception):
    """The ledger's file cannot be read or written now (a full disk); the caller retries."""


class Ledger:
    """Counts, sequences and dead letters of all devices; open it with `async with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_flight: dict[DeviceKey, int] = {}
        self._one_writer = anyio.CapacityLimiter(1)
        self._readers = anyio.CapacityLimiter(_READERS)

    async def __aenter__(self) -> Self:
        """Open the file; raise `Misconfigured` when it cannot be."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = await anyio.to_thread.run_sync(LedgerFile, self._path)
        except (sqlite3.Error, OSError) as exc:
            raise Misconfigured(
                f"{self._path} cannot be opened as the ingest ledger: {exc}"
            ) from exc
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._file.close, limiter=self._one_writer)

    @property
    def letters_dropped(self) -> int:
        """Return how many dead letters had to make room for newer ones."""
        return self._file.letters_dropped

    async def commit(self, entry: Entry) -> None:
        """Write what one batch changed; durable on return. Raise `LedgerAway`: nothing was."""
        with _translated():
            await anyio.to_thread.run_sync(self._file.commit, entry, limiter=self._one_writer)

    def expect(self, device: DeviceKey, readings: int) -> None:
        """Add readings to what is in flight, or take them off (negative)."""
        left = self._in_flight.get(device, 0) + readings
        if left > 0:
            self._in_flight[device] = left
        else:
            self._in_flight.pop(device, None)

    def spans_of(self, device: DeviceKey) -> dict[str, Spans]:
        """Return the sequences seen of each boot. Blocks: for the pipeline's own thread."""
        with _translated():
            return self._file.spans_of(device)

    async def view(self, device: DeviceKey) -> LedgerView:
        """Return a device's account; all zero when it was never heard."""
        with _translated():
            return await anyio.to_thread.run_sync(self._view, device, limiter=self._readers)

    async def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        with _translated():
            return await anyio.to_thread.run_sync(self._file.heard, limiter=self._readers)

    async def letters(self, query: LetterQuery) -> list[Letter]:
        """Return dead letters, newest first."""
        with _translated():
            read = partial(self._file.letters, query)
            return await anyio.to_thread.run_sync(read, limiter=self._readers)

    async def letter(self, letter_id: int) -> Letter | None:
        """Return one dead letter, None when it is not there (any more)."""
        found = await self.letters(LetterQuery(limit=1, before=letter_id + 1))
        return found[0] if found and found[0].id == letter_id else None

    async def fact(self, name: str) -> str | None:
        """Return a remembered fact."""
        with _translated():
            return await anyio.to_thread.run_sync(self._file.fact, name, limiter=self._readers)

    async def remember(self, name: str, value: str) -> None:
        """Remember a fact over restarts."""
        with _translated():
            write = partial(self._file.remember, name, value)
            await anyio.to_thread.run_sync(write, limiter=self._one_writer)

    def _view(self, device: DeviceKey) -> LedgerView:
        stored, duplicate, dead, filtered = self._file.counts(device)
        in_flight = self._in_flight.get(device, 0)
        return LedgerView(
            received=stored + duplicate + dead + filtered + in_flight,
            stored=stored,
            duplicate=duplicate,
            dead=dead,
            filtered=filtered,
            in_flight=in_flight,
            boots=self._file.boots(device),
        )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise LedgerAway(f"the ingest ledger does not answer: {exc}") from exc
