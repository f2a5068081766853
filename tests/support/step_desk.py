"""A desk of steps from memory, for the pages on steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.dashboard.step_desk import DeadEvent, StepFacts
from tests.support.fake_context import START
from tidegate.contract import StepConfig
from tidegate.errors import StoreAway

DIED_AT_MS = 1_769_860_800_000


def dead_event(dead_id: int, step: str = "Charge", **changes: Any) -> DeadEvent:
    """Return a dead event, changed."""
    plain = DeadEvent(
        id=dead_id,
        step=step,
        topic="order.placed",
        data={"order": dead_id},
        is_left_out=False,
        size_bytes=9,
        error="ValueError: no",
        stack="Traceback: the frames",
        attempts=5,
        died_at_ms=DIED_AT_MS,
        is_loaded=True,
    )
    return plain._replace(**changes)


def facts(config: StepConfig, **changes: Any) -> StepFacts:
    """Return a step as it runs, changed."""
    return StepFacts(config, "What it does", 0, {}, None)._replace(**changes)


STEPS = (
    facts(StepConfig("event", "Charge", subscribes=("order.placed",), emits=("order.paid",)),
          waiting=3, outcomes={"retried": 2, "dead": 4, "done": 1}),
    facts(StepConfig("cron", "Close", cron="15 2 * * *", timezone="Asia/Tokyo", emits=()),
          next_at=START),
    facts(StepConfig("api", "Place", method="POST", path="/orders", emits=("order.placed",)),
          outcomes={"202": 7}),
    facts(StepConfig("mqtt", "Read", topic="t/+/up", emits=("*",))),
    facts(StepConfig("event", "Ship", subscribes=("order.*",), emits=None)),
)  # fmt: skip


class FakeDesk:
    """Steps and dead events that a test gives; notes what is redriven and purged."""

    def __init__(
        self, *dead: DeadEvent, steps: Sequence[StepFacts] = STEPS, is_away: bool = False
    ) -> None:
        self._dead = {one.id: one for one in dead}
        self._steps, self._is_away = steps, is_away
        self.redriven: list[int] = []
        self.purged: list[int] = []

    async def steps(self) -> Sequence[StepFacts]:
        """Return them."""
        self._answer()
        return self._steps

    async def dead_counts(self) -> Mapping[str, int]:
        """Count them."""
        self._answer()
        steps = [one.step for one in self._dead.values()]
        return {step: steps.count(step) for step in steps}

    async def dead(
        self, *, limit: int, before: int | None = None, step: str | None = None
    ) -> Sequence[DeadEvent]:
        """Return them, newest first."""
        self._answer()
        found = sorted(self._dead.values(), key=lambda one: one.id, reverse=True)
        if before is not None:
            found = [one for one in found if one.id < before]
        return [one for one in found if step in (None, one.step)][:limit]

    async def dead_event(self, dead_id: int) -> DeadEvent | None:
        """Return one."""
        self._answer()
        return self._dead.get(dead_id)

    async def dead_ids(self, step: str) -> Sequence[int]:
        """Return the ids of a step's."""
        return [one.id for one in await self.dead(limit=10_000, step=step)]

    async def redrive(self, dead_ids: Sequence[int]) -> int:
        """Forget them and note it."""
        found = self._take(dead_ids)
        self.redriven += found
        return len(found)

    async def purge(self, dead_ids: Sequence[int]) -> int:
        """Forget them and note it."""
        found = self._take(dead_ids)
        self.purged += found
        return len(found)

    def _take(self, dead_ids: Sequence[int]) -> list[int]:
        self._answer()
        found = [dead_id for dead_id in dead_ids if dead_id in self._dead]
        for dead_id in found:
            del self._dead[dead_id]
        return found

    def _answer(self) -> None:
        if self._is_away:
            raise StoreAway("connection refused")
