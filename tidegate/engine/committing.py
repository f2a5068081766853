"""From what a run has noted to one commit of the store, and what follows when it is applied."""

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.engine import values
from tidegate.engine.intakes import Intakes
from tidegate.engine.routing import Router
from tidegate.engine.transaction import Emission, Transaction
from tidegate.store.model import Commit, Event, Frame
from tidegate.store.port import States
from tidegate.streams.hub import Hub

Observer = Callable[[str, Any], None]


class Committer:
    """Commits transactions: routes their events, and tells whom they concern."""

    def __init__(self, store: States, router: Router, intakes: Intakes, hub: Hub) -> None:
        self._store = store
        self._router = router
        self._intakes = intakes
        self._hub = hub
        self._observers: list[Observer] = []

    def on_emitted(self, observe: Observer) -> None:
        """Call `observe(topic, data)` for every event that is committed here.

        Also for one that no step subscribes to, or whose `id` was emitted before.
        """
        self._observers.append(observe)

    async def commit(self, transaction: Transaction, commit: Commit, trace_id: str) -> None:
        """Commit what a transaction has noted, together with what `commit` ends already.

        Raises:
            Conflict, LeaseLost: nothing was applied.
        """
        commit.reads = transaction.reads
        commit.group_reads = transaction.group_reads
        commit.writes = transaction.writes
        commit.changes = transaction.changes
        try:
            for sent in transaction.emissions:
                commit.events.append(self._event(sent, commit.now_ms, trace_id))
            committed = await self._store.commit(commit)
        except BaseException:
            self._intakes.give_back(commit)
            raise
        if commit.events:
            self._intakes.hand_over(commit, committed)
        if commit.changes:
            numbered = zip(committed.seqs, commit.changes, strict=True)
            self._hub.publish([Frame(seq, change) for seq, change in numbered])
        if self._observers:
            self._tell_observers(transaction.emissions)

    def _event(self, sent: Emission, now_ms: int, trace_id: str) -> Event:
        # What is remembered by its id may have been sent before: the store decides, nobody here.
        to = [
            self._intakes.address(
                one, at_once=one.lane is None and one.due_at_ms <= now_ms and sent.id is None
            )
            for one in self._router.destinations(sent, now_ms)
        ]
        return Event(sent.topic, sent.payload, trace_id, tuple(to), sent.id)

    def _tell_observers(self, emissions: Sequence[Emission]) -> None:
        for sent in emissions:
            for observe in self._observers:
                observe(sent.topic, values.decode(sent.payload))
