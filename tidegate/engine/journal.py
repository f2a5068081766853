"""What an invocation remembers over its runs: results of effects, and durable waits."""

from typing import Any

from tidegate.engine import values
from tidegate.errors import NonRetriable
from tidegate.store.model import Claim, Delivery, Suspension, Waiter
from tidegate.store.port import Fates


class Suspended(BaseException):
    """Ends a run at a durable wait. Not an `Exception`: a handler's `except` must let it pass."""

    def __init__(
        self,
        due_at_ms: int,
        marks: dict[str, Any],
        *,
        name: str = "",
        topic: str | None = None,
        match: Any = None,
    ) -> None:
        super().__init__(f"suspended until {due_at_ms}")
        self.due_at_ms = due_at_ms
        self.marks = marks
        self._awaited = None if topic is None else (name, topic, values.encode(match))

    def suspension(self, claim: Claim) -> Suspension:
        """Return what gives the delivery back until then."""
        marks = {name: values.encode(mark) for name, mark in self.marks.items()}
        waiter = Waiter(claim.delivery_id, *self._awaited) if self._awaited else None
        return Suspension(claim, self.due_at_ms, marks, waiter)


class MemoryJournal:
    """Of an invocation that is not retried beyond its own re-runs: it remembers only those."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}

    def recorded(self, name: str) -> tuple[Any] | None:
        """Return a recorded result, in a tuple; None when there is none."""
        return (self._results[name],) if name in self._results else None

    async def record(self, name: str, result: Any) -> Any:
        """Record a result; the first one stays and is returned."""
        return self._results.setdefault(name, result)


class NoJournal:
    """Of a list of events: a retry gets another list, so nothing can be remembered for it."""

    def recorded(self, name: str) -> tuple[Any] | None:
        """Refuse `ctx.run` and the waits.

        Raises:
            NonRetriable: always.
        """
        raise NonRetriable(
            f"'{name}': batch steps have no ctx.run, ctx.sleep or ctx.wait_for, since a retry gets"
            " another list; emit an event for each effect, or do without a record"
        )

    async def record(self, name: str, _result: Any) -> Any:
        """Refuse, too."""
        self.recorded(name)


class DeliveryJournal:
    """Of a delivery: kept in the store until its end, over crashes and retries."""

    def __init__(self, store: Fates, delivery: Delivery) -> None:
        self.claim = delivery.claim
        self._store = store
        self._results = delivery.journal

    def recorded(self, name: str) -> tuple[Any] | None:
        """Return a recorded result, in a tuple; None when there is none."""
        data = self._results.get(name)
        return None if data is None else (values.decode(data),)

    async def record(self, name: str, result: Any) -> Any:
        """Record a result, durable on return; the first one stays and is returned.

        Raises:
            LeaseLost: the delivery was claimed anew.
        """
        kept = await self._store.record(self.claim, name, values.encode(result))
        self._results[name] = kept
        return values.decode(kept)


Journal = MemoryJournal | NoJournal | DeliveryJournal
