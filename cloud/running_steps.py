"""The steps that run in this process and their dead events, as the pages see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import InvalidOperation

import msgspec
from prometheus_client import CollectorRegistry

from cloud.dashboard.step_desk import DeadEvent, StepFacts
from tidegate.contract import Step
from tidegate.engine import values
from tidegate.engine.cron import GROUP as CRON_GROUP
from tidegate.engine.engine import Engine
from tidegate.store.model import DeadSummary, Key

_COUNTERS = {"tidegate_events_handled_total": "outcome", "tidegate_http_answers_total": "status"}
_LONGEST = 64 * 1024
_AT_ONCE = 500
_MOST_DEAD = 10_000
_BROKEN = (msgspec.DecodeError, ValueError, InvalidOperation, RecursionError)


class RunningSteps:
    """See `cloud.dashboard.step_desk.StepDesk`."""

    def __init__(self, engine: Engine, counts: CollectorRegistry) -> None:
        self._engine = engine
        self._store = engine.store
        self._counts = counts

    async def steps(self) -> list[StepFacts]:
        """Return every step, in order of their names."""
        outcomes = self._outcomes()
        return [
            StepFacts(
                step.config,
                step.config.description or _first_line(step.handler.__doc__),
                await self._waiting(step),
                outcomes.get(name, {}),
                await self._next_at(step),
            )
            for name, step in sorted(self._engine.steps.items())
        ]

    async def dead_counts(self) -> Mapping[str, int]:
        """Return how many dead events each step has that has any."""
        return dict(await self._store.dead_counts())

    async def dead(
        self, *, limit: int, before: int | None = None, step: str | None = None
    ) -> list[DeadEvent]:
        """Return dead events, newest first."""
        found = await self._store.newest_dead(
            limit=limit, longest=_LONGEST, before_id=before, step=step
        )
        return [self._shown(letter) for letter in found]

    async def dead_event(self, dead_id: int) -> DeadEvent | None:
        """Return one dead event whole."""
        letter = await self._store.dead_letter(dead_id)
        if letter is None:
            return None
        return self._shown(DeadSummary(*letter[:4], len(letter.payload), *letter[4:]))

    async def dead_ids(self, step: str) -> list[int]:
        """Return the ids of a step's dead events."""
        found = await self._store.newest_dead(limit=_MOST_DEAD, longest=1, step=step)
        return [letter.id for letter in found]

    async def redrive(self, dead_ids: Sequence[int]) -> int:
        """Make dead events due again, some in each commit."""
        return sum([await self._engine.redrive(some) for some in _slices(dead_ids)])

    async def purge(self, dead_ids: Sequence[int]) -> int:
        """Delete dead events, some in each commit."""
        return sum([await self._store.purge_dead(some) for some in _slices(dead_ids)])

    async def _waiting(self, step: Step) -> int:
        if step.config.type in ("api", "noop"):
            return 0
        return await self._store.pending(step.config.name)

    async def _next_at(self, step: Step) -> datetime | None:
        if step.config.type != "cron":
            return None
        found = await self._store.read(Key(CRON_GROUP, step.config.name), self._engine.now_ms())
        return None if found.data is None else values.decode(found.data).get("next_at")

    def _outcomes(self) -> dict[str, dict[str, int]]:
        """Return the counts of events and requests since the start, by step."""
        found: dict[str, dict[str, int]] = {}
        for metric in self._counts.restricted_registry(list(_COUNTERS)).collect():
            for sample in metric.samples:
                outcome = sample.labels[_COUNTERS[sample.name]]
                if sample.value:
                    found.setdefault(sample.labels["step"], {})[outcome] = int(sample.value)
        return found

    def _shown(self, letter: DeadSummary) -> DeadEvent:
        return DeadEvent(
            letter.id,
            letter.step,
            letter.topic,
            data=None if letter.payload is None else _decoded(letter.payload),
            is_left_out=letter.payload is None,
            size_bytes=letter.size_bytes,
            error=letter.error,
            stack=letter.stack,
            attempts=letter.attempts,
            died_at_ms=letter.died_at_ms,
            is_loaded=letter.step in self._engine.steps,
        )


def _decoded(payload: bytes) -> object:
    """Return what was emitted; what cannot be decoded stays bytes."""
    try:
        return values.decode(payload)
    except _BROKEN:
        return payload


def _slices(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
