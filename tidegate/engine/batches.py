"""Hand the events of a step over as lists; those that the handler names are retried alone."""

from collections.abc import Sequence
from hashlib import blake2b
from time import monotonic
from typing import Any

import anyio

from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine
from tidegate.engine.handling import Handling
from tidegate.engine.journal import NoJournal
from tidegate.errors import LeaseLost, NonRetriable
from tidegate.store.model import Claim, Delivery


class BatchFailed(Exception):
    """A batch handler returned this event among the failed ones."""


class Batches:
    """Handles lists of deliveries of one step."""

    def __init__(self, engine: Engine, handling: Handling) -> None:
        self._engine = engine
        self._one = handling
        self._step = handling.step

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Run a list to its fate. The one supervisor of foreign batch handlers' errors."""
        fitting = await self._fitting(deliveries)
        if not fitting:
            return
        events = [delivery for delivery, _ in fitting]
        try:
            async with self._engine.place_of(self._step):
                with anyio.fail_after(self._step.config.timeout):
                    failed = await self._run(events, [data for _, data in fitting])
        except LeaseLost:
            self._one.count("lease_lost", len(events))
        except Exception as exc:  # noqa: BLE001 - a handler is foreign code
            for delivery in events:
                await self._one.failed(delivery, exc)
        else:
            self._one.count("done", len(events) - len(failed))
            for index in failed:
                await self._one.failed(events[index], BatchFailed("returned as failed"))

    async def _fitting(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Any]]:
        """Return those that fit the schema with their data; the others die."""
        fitting = []
        for delivery in deliveries:
            try:
                fitting.append((delivery, self._one.input_of(delivery)))
            except Exception as exc:  # noqa: BLE001 - a schema may be foreign code
                await self._one.failed(delivery, exc)
        return fitting

    async def _run(self, events: list[Delivery], inputs: list[Any]) -> list[int]:
        """Run the handler; what it did is committed with the end of those that did not fail."""
        first = events[0]
        ids = ",".join(str(event.id) for event in events)
        key = f"{self._step.config.name}-{blake2b(ids.encode(), digest_size=12).hexdigest()}"
        until_s = monotonic() + self._step.config.timeout
        invocation = Invocation(
            self._step.config, first.trace_id, first.attempt, key, NoJournal(), until_s
        )

        def ended(answer: Any) -> tuple[Claim, ...]:
            failed = set(failed_indexes(answer, len(events)))
            return tuple(one.claim for index, one in enumerate(events) if index not in failed)

        answer = await self._engine.invoke(self._step, invocation, inputs, done=ended)
        return failed_indexes(answer, len(events))


def failed_indexes(answer: Any, count: int) -> list[int]:
    """Return the indexes in `{"failed": [...]}`, sorted; any other answer failed none.

    Raises:
        NonRetriable: they are no indexes of the list.
    """
    failed = answer.get("failed", ()) if isinstance(answer, dict) else ()
    if not all(isinstance(index, int) and 0 <= index < count for index in failed):
        raise NonRetriable(f"a batch handler returns {{'failed': [indexes below {count}]}}")
    return sorted(set(failed))
