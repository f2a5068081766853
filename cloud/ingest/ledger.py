"""The ledger: what became of every reading, kept in `ingest.db`.

It is committed after the store's write and before the acknowledgement. A crash in between makes
the broker repeat the messages: they are written again (idempotent) and counted then, once.
Readings without boot and sequence are not recognised when they come twice: they are stored
again, which changes nothing, and counted again.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from cloud.ingest.accounts import Entry, Fates, LedgerView, Letter, LetterQuery, Outcome
from cloud.ingest.ledger_file import LedgerAway, LedgerFile
from cloud.ingest.spans import Spans
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

__all__ = ["Ledger", "LedgerAway"]

_READERS = 2

T = TypeVar("T")


class Ledger:
    """Counts, sequences and dead letters of all devices; open it with `async with`.

    Every call may raise `LedgerAway`: nothing was changed, the caller retries.
    """

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
        except (LedgerAway, OSError) as exc:
            raise Misconfigured(f"{self._path} cannot be opened: {exc}") from exc
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        with anyio.CancelScope(shield=True):
            await self._write(self._file.close)

    @property
    def letters_dropped(self) -> int:
        """Return how many dead letters had to make room for newer ones."""
        return self._file.letters_dropped

    async def commit(self, entry: Entry) -> None:
        """Write what one batch changed; durable on return."""
        await self._write(partial(self._file.commit, entry))

    def expect(self, device: DeviceKey, readings: int) -> None:
        """Add readings to what is in flight, or take them off (negative).

        It may be below 0 for a while, when a replay moves more off the dead than it brings in.
        """
        left = self._in_flight.get(device, 0) + readings
        if left:
            self._in_flight[device] = left
        else:
            self._in_flight.pop(device, None)

    def spans_of(self, device: DeviceKey) -> dict[str, Spans]:
        """Return the sequences seen of each boot. Blocks: for the pipeline's own thread."""
        return self._file.spans_of(device)

    def session_of(self, node: Node) -> Saved:
        """Return what is kept of a Sparkplug node's session. Blocks, as `spans_of`."""
        return self._file.session_of(node)

    async def sparkplug_dead(self) -> list[DeviceKey]:
        """Return the Sparkplug nodes and devices whose last word was a death."""
        return await self._read(self._file.sparkplug_dead)

    async def view(self, device: DeviceKey) -> LedgerView:
        """Return a device's account; all zero when it was never heard."""
        return await self._read(partial(self._view, device))

    async def totals(self) -> Fates:
        """Return the counts of all devices together."""
        stored, duplicate, dead, filtered, spooled = await self._read(self._file.totals)
        in_flight = sum(self._in_flight.values()) + spooled
        received = stored + duplicate + dead + filtered + in_flight
        return Fates(received, stored, duplicate, dead, filtered, in_flight)

    async def spooled(self) -> dict[DeviceKey, int]:
        """Return how many readings of each device wait in the spool, of those that have any."""
        return await self._read(self._file.spooled)

    async def heard(self) -> dict[DeviceKey, int]:
        """Return when each device was last heard (Unix ms)."""
        return await self._read(self._file.heard)

    async def dead_letters(
        self,
        tenant: str | None = None,
        device: str | None = None,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> list[Letter]:
        """Return dead letters, newest first, with ids below `before`."""
        query = LetterQuery(tenant, device, limit)
        if before is not None:
            query = LetterQuery(tenant, device, limit, before)
        return await self._read(partial(self._file.letters, query))

    async def letter(self, letter_id: int) -> Letter | None:
        """Return one dead letter, None when it is not there (any more)."""
        found = await self.dead_letters(limit=1, before=letter_id + 1)
        return found[0] if found and found[0].id == letter_id else None

    async def outcome(
        self, device: DeviceKey, key: str, now_ms: int
    ) -> tuple[bytes, Outcome] | None:
        """Return digest and outcome of a request of the last day by its key, else None."""
        return await self._read(partial(self._file.outcome, device, key, now_ms=now_ms))

    async def fact(self, name: str) -> str | None:
        """Return a remembered fact."""
        return await self._read(partial(self._file.fact, name))

    async def remember(self, name: str, value: str) -> None:
        """Remember a fact over restarts."""
        await self._write(partial(self._file.remember, name, value))

    async def _read(self, read: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(read, limiter=self._readers)

    async def _write(self, write: Callable[[], None]) -> None:
        await anyio.to_thread.run_sync(write, limiter=self._one_writer)

    def _view(self, device: DeviceKey) -> LedgerView:
        stored, duplicate, dead, filtered, spooled = self._file.counts(device)
        in_flight = self._in_flight.get(device, 0) + spooled
        return LedgerView(
            received=stored + duplicate + dead + filtered + in_flight,
            stored=stored,
            duplicate=duplicate,
            dead=dead,
            filtered=filtered,
            in_flight=in_flight,
            boots=self._file.boots(device),
        )
