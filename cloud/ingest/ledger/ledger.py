"""The ledger: what became of every reading, kept in `ingest.db`.

It is committed after the store's write and before the acknowledgement. A crash in between makes
the broker repeat the messages: they are written again (idempotent) and counted then, once.
Readings without boot and sequence are recognised by their time, the last ones of each device.
"""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from cloud.ingest.ledger.accounts import (
    Entry,
    LedgerView,
    Letter,
    LetterQuery,
    Outcome,
    Remembered,
    Totals,
)
from cloud.ingest.ledger.balance import Balance
from cloud.ingest.ledger.file import LedgerAway, LedgerFile
from cloud.ingest.ledger.limits import SHIPPED, Limits
from cloud.ingest.ledger.rows import last_gap
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey, TenantId
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

__all__ = ["Ledger", "LedgerAway"]

_READERS = 2

T = TypeVar("T")


class Ledger:
    """Counts, sequences and dead letters of all devices; open it with `async with`.

    Every call may raise `LedgerAway`: nothing was changed, the caller retries.
    """

    def __init__(self, path: Path, limits: Limits = SHIPPED) -> None:
        self._path = path
        self._limits = limits
        # Whoever holds it sees every batch either in flight or committed.
        self._settling = threading.Lock()
        self._one_writer = anyio.CapacityLimiter(1)
        self._readers = anyio.CapacityLimiter(_READERS)

    async def __aenter__(self) -> Self:
        """Open the file; raise `Misconfigured` when it cannot be."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            await anyio.to_thread.run_sync(self._open)
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
        """Write what one batch changed, and take it off what is in flight; durable on return."""
        await self._write(partial(self._commit, entry))

    def expect(self, entry: Entry) -> None:
        """Add a batch's readings to what is in flight, until it is committed."""
        self._balance.expect(entry)

    def recall(self, device: DeviceKey) -> Remembered:
        """Return what intake needs to know of a device. Blocks: for the pipeline's own thread."""
        return self._file.recall(device)

    def series_of(self, tenant: TenantId) -> int:
        """Return how many series a tenant has. Blocks, as `recall`."""
        return self._file.series_of(tenant)

    def session_of(self, node: Node) -> Saved:
        """Return what is kept of a Sparkplug node's session. Blocks, as `recall`."""
        return self._file.session_of(node)

    async def sparkplug_dead(self) -> list[DeviceKey]:
        """Return the Sparkplug nodes and devices whose last word was a death."""
        return await self._read(self._file.sparkplug_dead)

    async def forget_births(self, tenant: str, device: str | None = None) -> None:
        """Forget the Sparkplug births of a device, or of all of a tenant: they are asked for anew.

        Again it is no error. A session that is followed now goes on until the next start.
        """
        await self._write(partial(self._file.forget_births, tenant, device))

    async def forget_series(self, tenant: str, device: str | None = None) -> int:
        """Forget the series of a device, or of all of a tenant; return how many there were."""
        return await self._write(partial(self._file.forget_series, tenant, device))

    async def view(self, device: DeviceKey) -> LedgerView:
        """Return a device's account; all zero when it was never heard."""
        return await self._read(partial(self._view, device))

    def totals(self) -> Totals:
        """Return the counts of all devices together; from memory, in any thread."""
        return self._balance.totals()

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
        reason: str | None = None,
    ) -> list[Letter]:
        """Return dead letters, newest first, with ids below `before`."""
        query = LetterQuery(tenant, device, limit, before or LetterQuery().before, reason)
        return await self._read(partial(self._file.letters, query))

    async def replayable(self, query: LetterQuery) -> list[int]:
        """Return the ids of letters that can be replayed, newest first."""
        return await self._read(partial(self._file.replayable, query))

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

    async def _write(self, write: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(write, limiter=self._one_writer)

    def _open(self) -> None:
        self._file = LedgerFile(self._path, self._limits)
        self._balance = Balance(self._file.totals(), self._file.holes())

    def _commit(self, entry: Entry) -> None:
        with self._settling:
            forgotten = self._file.commit(entry)
            self._balance.settle(entry, forgotten)

    def _view(self, device: DeviceKey) -> LedgerView:
        with self._settling:
            counts, skew_ms, gap = self._file.account(device)
            in_flight = self._balance.in_flight(device) + counts.spooled
        stored, duplicate, dead, filtered, _, late = counts
        boots = self._file.boots(device)
        return LedgerView(
            received=stored + duplicate + dead + filtered + in_flight,
            stored=stored,
            duplicate=duplicate,
            dead=dead,
            filtered=filtered,
            in_flight=in_flight,
            boots=boots,
            late=late,
            skew_ms=skew_ms,
            last_gap=last_gap(gap, boots),
        )
