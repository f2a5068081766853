"""What the receiver tells of our session waits for the ledger, within a bound."""

import random
from typing import cast

import anyio
import pytest
from prometheus_client import CollectorRegistry

from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.metrics import metrics
from cloud.ingest.patience import Patience
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.news import News
from cloud.ingest.receiving.session import Session
from wire.events import DataLost

pytestmark = pytest.mark.anyio


class _Facts:
    """A ledger that remembers facts."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    async def fact(self, name: str) -> str | None:
        return self.known.get(name)

    async def remember(self, name: str, value: str) -> None:
        self.known[name] = value


async def test_session_lets_the_oldest_news_go_and_counts_them() -> None:
    """Of 1,003 the last 1,000 are handled: the broker's count is the newest."""
    numbers, losses, facts = CollectorRegistry(), list[DataLost](), _Facts()

    async def note(loss: DataLost) -> None:
        losses.append(loss)

    session = Session(
        BrokerAccess("localhost", 1),
        cast("Ledger", facts),
        Patience(random.Random(1), lambda: None),
        filters=[],
        metrics=metrics(numbers),
        now_ms=lambda: 0,
        on_loss=note,
    )
    for _ in range(1_002):
        session.tell(News("session_lost"))
    session.tell(News("dropped", 7))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    session.free()

    assert numbers.get_sample_value("tidegate_ingest_session_news_dropped_total") == 3
    assert len(losses) == 999
    assert "7" in facts.known.values()
