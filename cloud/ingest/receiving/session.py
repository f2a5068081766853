"""Our session at the broker over restarts: what it may hold of us, and what it has lost.

The ledger remembers that there is a session, with which filters, and how many messages the
broker had dropped when we last heard its count.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Literal, TypeVar

import anyio
import msgspec
import structlog

from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.metrics import Metrics
from cloud.ingest.patience import Patience
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.news import News
from cloud.ingest.wake import Wake
from tidegate.errors import TidegateError
from wire.events import DataLost

OnLoss = Callable[[DataLost], Awaitable[None]]
T = TypeVar("T")

_SESSION_FACT, _FILTERS_FACT, _DROPPED_FACT = "mqtt_session", "mqtt_filters", "broker_dropped"
_MAX_NEWS = 1_000

_log = structlog.get_logger()


async def tell_nobody(_loss: DataLost) -> None:
    """Do nothing: nobody asked to be told of losses."""


class Session:
    """Keeps the facts of one session, and tells `on_loss` of what was lost, once each."""

    def __init__(
        self,
        broker: BrokerAccess,
        ledger: Ledger,
        patience: Patience,
        *,
        filters: Collection[str],
        metrics: Metrics,
        now_ms: Callable[[], int],
        on_loss: OnLoss = tell_nobody,
    ) -> None:
        self._address = f"{broker.host}:{broker.port}"
        self._name = f"{broker.client_id}@{self._address}"
        self._ledger, self._patience = ledger, patience
        self._filters = sorted(filters)
        self._now_ms = now_ms
        self._on_loss = on_loss
        self._metrics = metrics
        self._news: deque[News] = deque(maxlen=_MAX_NEWS)
        self._wake = Wake()

    def tell(self, news: News) -> None:
        """Take news in the receiver's thread; never blocks.

        While the ledger or whoever is told of losses is away they wait, 1,000 at most: then the
        oldest is let go, and counted. The newest says how things stand with session, filters and
        the broker's count; only a `session_lost` can go untold with it, which its metric has.
        """
        if len(self._news) == _MAX_NEWS:
            self._metrics.news_dropped.inc()
        self._news.append(news)
        self._wake.set()

    def free(self) -> None:
        """Free what waking costs; for after the end, or when it has never run."""
        self._wake.close()

    async def is_expected(self) -> bool:
        """Return whether the broker should know us from before."""
        return await self._ask(partial(self._ledger.fact, _SESSION_FACT)) == self._name

    async def known_filters(self) -> list[str]:
        """Return what the broker's session may hold; what we want is among it from now on.

        It is remembered before it is subscribed to: whenever we die, nothing is forgotten.
        """
        kept = await self._ask(partial(self._ledger.fact, self._fact(_FILTERS_FACT)))
        known = [] if kept is None else msgspec.json.decode(kept, type=list[str])
        await self._keep_filters(sorted({*known, *self._filters}))
        return known

    async def run(self) -> None:
        """Keep the facts and tell of losses until cancelled."""
        while True:
            while self._news:
                await self._handle(self._news.popleft())
            await anyio.wait_readable(self._wake.readable)
            self._wake.clear()

    async def _handle(self, news: News) -> None:
        match news.what:
            case "subscribed":
                await self._remember(_SESSION_FACT, self._name)
            case "settled":
                await self._keep_filters(self._filters)
            case "session_lost":
                await self._lost("session_lost", None)
            case "dropped":
                await self._note_dropped(news.messages)

    async def _note_dropped(self, count: int) -> None:
        """Compare the broker's count with the one before, also over a restart of ours.

        A lower one is that of a broker that was restarted, and began at 0.
        """
        fact = self._fact(_DROPPED_FACT)
        kept = await self._ask(partial(self._ledger.fact, fact))
        known = None if kept is None else int(kept)
        if known == count:
            return
        if known is not None and count:
            await self._lost("broker_dropped", count - known if count > known else count)
        await self._remember(fact, str(count))

    async def _lost(
        self, cause: Literal["session_lost", "broker_dropped"], messages: int | None
    ) -> None:
        _log.error("data.lost", cause=cause, broker=self._address, messages=messages)
        try:
            await self._on_loss(DataLost(cause, self._address, self._now_ms(), messages))
        except TidegateError as exc:
            _log.warning("loss.untold", reason=str(exc))

    def _fact(self, name: str) -> str:
        return f"{name} {self._name}"

    async def _keep_filters(self, filters: list[str]) -> None:
        text = msgspec.json.encode(filters).decode()
        await self._remember(self._fact(_FILTERS_FACT), text)

    async def _remember(self, fact: str, value: str) -> None:
        await self._ask(partial(self._ledger.remember, fact, value))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(call, of=LedgerAway, what="ledger")
