"""Deliveries: claims, leases, journals, waits, dead letters."""

from collections.abc import Callable, Sequence

from tidegate.store.bounds import MAX_DEAD, dead_dropped
from tidegate.store.model import (
    MAX_DEAD_ID,
    Claim,
    DeadLetter,
    DeadSummary,
    Delivery,
    Waiter,
)
from tidegate.store.postgres.columns import lease_lost
from tidegate.store.postgres.connections import Pool
from tidegate.store.postgres.watching import Watching


class PostgresDeliveries:
    """See `tidegate.store.port.Queue`, `Fates` and `DeadLetters`."""

    pool: Pool
    watching: Watching

    async def claim(
        self, step: str, *, limit: int, now_ms: int, lease_until_ms: int
    ) -> list[Delivery]:
        """Lease due deliveries of a step, oldest first."""
        claimed = await self.pool.fetch("claim", lease_until_ms, step, now_ms, limit)
        rows = sorted(tuple(row) for row in claimed)
        journals: dict[int, dict[str, bytes]] = {row[0]: {} for row in rows}
        # Nobody else can record any more, and before the first claim nobody has.
        claimed_before = [row[0] for row in rows if row[1] > 1]
        if claimed_before:
            for delivery_id, name, result in await self.pool.fetch("journals", claimed_before):
                journals[delivery_id][name] = result
        return [Delivery._make((*row, journals[row[0]])) for row in rows]

    async def next_due_ms(self, steps: Sequence[str]) -> int | None:
        """Return when the next delivery of these steps is due."""
        due: int | None = await self.pool.value("next_due", list(steps))
        return due

    async def pending(self, step: str) -> int:
        """Return how many deliveries a step has."""
        return int(await self.pool.value("pending", step))

    async def renew(self, claims: Sequence[Claim], *, lease_until_ms: int) -> None:
        """Prolong leases; those that are lost already are left alone."""
        ids, fences = [claim[0] for claim in claims], [claim[1] for claim in claims]
        await self.pool.execute("renew", lease_until_ms, ids, fences)

    async def release_all(self, *, now_ms: int) -> int:
        """Make every leased delivery due now."""
        return await self.pool.execute("release_all", now_ms)

    async def watch(self, wake: Callable[[str | None], None]) -> None:
        """Call `wake(step)` when another process commits an event for it, until cancelled."""
        await self.watching.watch(wake)

    async def record(self, claim: Claim, name: str, result: bytes) -> bytes:
        """Journal a result; the first one stays, and is returned."""
        kept: bytes | None = await self.pool.value("record", claim[0], claim[1], name, result)
        if kept is None:
            raise lease_lost(claim)
        return kept

    async def waiters(self, topic: str) -> list[Waiter]:
        """Return who waits for an event of the topic."""
        return [Waiter(*row) for row in await self.pool.fetch("waiters", topic)]

    async def answer(self, waiter: Waiter, result: bytes, *, now_ms: int) -> None:
        """End a wait with its answer, unless it has ended meanwhile."""
        origin = self.watching.origin
        await self.pool.fetch("answer", origin, waiter.delivery_id, waiter.name, result, now_ms)

    async def retry(self, claim: Claim, *, due_at_ms: int) -> None:
        """Give a failed delivery back."""
        if not await self.pool.execute("retry", due_at_ms, claim[0], claim[1]):
            raise lease_lost(claim)

    async def bury(self, delivery: Delivery, *, error: str, stack: str, now_ms: int) -> None:
        """Move a delivery to the dead letters. Its journal stays, for the day it is redriven."""
        claim, said = delivery.claim, (_clean(error), _clean(stack))
        origin = self.watching.origin
        dropped = await self.pool.value("bury", origin, *claim, *said, now_ms, MAX_DEAD)
        if dropped is None:
            raise lease_lost(claim)
        dead_dropped.inc(dropped)

    async def dead(self, *, limit: int, after_id: int = 0) -> list[DeadLetter]:
        """Return dead letters in order of their ids."""
        return [DeadLetter(*row) for row in await self.pool.fetch("dead", after_id, limit)]

    async def dead_letter(self, dead_id: int) -> DeadLetter | None:
        """Return one dead letter."""
        rows = await self.pool.fetch("dead_letter", dead_id)
        return DeadLetter(*rows[0]) if rows else None

    async def newest_dead(
        self, *, limit: int, longest: int, before_id: int | None = None, step: str | None = None
    ) -> list[DeadSummary]:
        """Return dead letters, newest first, as a list shows them."""
        before = MAX_DEAD_ID if before_id is None else before_id
        rows = await self.pool.fetch("newest_dead", longest, before, step, limit)
        return [DeadSummary(*row) for row in rows]

    async def dead_counts(self) -> list[tuple[str, int]]:
        """Return how many dead letters each step has."""
        return [(row[0], row[1]) for row in await self.pool.fetch("dead_counts")]

    async def redrive(self, dead_ids: Sequence[int] | None, now_ms: int) -> int:
        """Make dead letters due again: the same invocations with all their attempts."""
        ids = None if dead_ids is None else list(dead_ids)
        return int(await self.pool.value("redrive", self.watching.origin, ids, now_ms))

    async def purge_dead(self, dead_ids: Sequence[int] | None) -> int:
        """Delete dead letters and what their runs had recorded."""
        ids = None if dead_ids is None else list(dead_ids)
        return int(await self.pool.value("purge_dead", ids))


def _clean(text: str) -> str:
    """Return the text without what PostgreSQL keeps in no text: NUL, halves of surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
