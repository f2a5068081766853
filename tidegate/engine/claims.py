"""Claim the deliveries of one step: leases, and the step's rate limit."""

from collections.abc import Callable, Sequence

import anyio
import structlog

from tidegate.contract import Step
from tidegate.engine.engine import Engine
from tidegate.engine.rate import Rate
from tidegate.errors import LeaseLost, StoreAway
from tidegate.store.model import Claim, Commit, Delivery, Suspension

log = structlog.get_logger()


class Claims:
    """Claims, renews and gives back, on the engine's clock. Claiming may raise `StoreAway`."""

    def __init__(self, engine: Engine, step: Step) -> None:
        self.step = step
        self.name = step.config.name
        self._engine = engine
        self._store = engine.store
        limit = step.config.rate_limit
        self._rate = Rate(self.name, limit, engine.transact) if limit else None

    def lease_until_ms(self) -> int:
        """Return when a lease that is taken or renewed now ends."""
        return self._engine.now_ms() + round(self.step.config.lease * 1000)

    async def claim(self, limit: int) -> list[Delivery]:
        """Lease at most `limit` due deliveries, oldest first."""
        now_ms = self._engine.now_ms()
        if self._rate is not None:
            return await self._claim_at_rate(limit, now_ms, self._rate)
        return await self._store.claim(
            self.name, limit=limit, now_ms=now_ms, lease_until_ms=self.lease_until_ms()
        )

    async def _claim_at_rate(self, limit: int, now_ms: int, rate: Rate) -> list[Delivery]:
        due_ms = await self._store.next_due_ms([self.name])
        if due_ms is None or due_ms > now_ms or not (allowed := await rate.take(limit, now_ms)):
            return []
        claimed = await self._store.claim(
            self.name, limit=allowed, now_ms=now_ms, lease_until_ms=self.lease_until_ms()
        )
        if len(claimed) < allowed:
            await rate.give_back(allowed - len(claimed), now_ms)
        return claimed

    async def next_due_ms(self) -> int | None:
        """Return when the step's next delivery may begin, None when it has none."""
        due_ms = await self._store.next_due_ms([self.name])
        if due_ms is None or self._rate is None:
            return due_ms
        return max(due_ms, self._rate.next_at_ms)

    async def give_back(self, delivery: Delivery, wait_s: float) -> None:
        """Give a delivery back for a moment, without counting the attempt."""
        now_ms = self._engine.now_ms()
        until = now_ms + round(wait_s * 1000)
        suspension = Suspension(delivery.claim, until, {})
        try:
            await self._store.commit(Commit(now_ms=now_ms, suspension=suspension))
        except (StoreAway, LeaseLost) as exc:
            log.warning("event.left_to_lease", step=self.name, reason=str(exc))

    async def sleep_s(self, longest: float) -> float:
        """Return how long to sleep until the next delivery may begin, at most `longest` seconds."""
        due_ms = await self.next_due_ms()
        if due_ms is None:
            return longest
        return min(longest, max(0.0, (due_ms - self._engine.now_ms()) / 1000))

    async def let_go(self, claims: Sequence[Claim]) -> None:
        """End leases now."""
        try:
            if claims:
                await self._store.renew(claims, lease_until_ms=self._engine.now_ms())
        except StoreAway as exc:
            log.warning("event.left_to_lease", step=self.name, reason=str(exc))

    async def renew_forever(self, held: Callable[[], Sequence[Claim]]) -> None:
        """Prolong the leases of what is held, at a third of their time, until cancelled."""
        while True:
            await anyio.sleep(self.step.config.lease / 3)
            try:
                if claims := held():
                    await self._store.renew(claims, lease_until_ms=self.lease_until_ms())
            except StoreAway as exc:
                log.warning("lease.not_renewed", step=self.name, reason=str(exc))
