"""Tell the steps which values have lapsed (`ctx.state.set(…, ttl=, on_expire=topic)`)."""

import anyio
import structlog
from prometheus_client import Counter

from tidegate.contract import Context
from tidegate.engine import values
from tidegate.engine.engine import Engine
from tidegate.errors import Conflict, NonRetriable, StoreAway
from tidegate.store.model import Lapsed

_LOOK_AGAIN_S = 1.0
_AT_ONCE = 100

_untold = Counter("tidegate_lapses_untold_total", "Lapsed values that made no event")
log = structlog.get_logger()


class Lapses:
    """Emits an event for each lapsed value that asks for it, once over all processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            try:
                told = await self.tell()
            except StoreAway as exc:
                log.warning("store.away", part="lapses", reason=str(exc))
                told = 0
            if told < _AT_ONCE:
                await anyio.sleep(_LOOK_AGAIN_S)

    async def tell(self) -> int:
        """Emit the events that are due; returns how many there were."""
        lapsed = await self._engine.store.lapsed(limit=_AT_ONCE, now_ms=self._engine.now_ms())
        for value in lapsed:
            await self._tell_one(value)
        return len(lapsed)

    async def _tell_one(self, value: Lapsed) -> None:
        async def emit(ctx: Context) -> None:
            data = {**value.key._asdict(), "value": values.decode(value.data)}
            await ctx.emit(value.topic, data)

        try:
            await self._engine.transact(emit, lapsed=(value.id,))
        except Conflict:
            log.debug("lapse.told_by_another", group=value.key.group)
        except NonRetriable as exc:
            await self._give_up(value, exc)

    async def _give_up(self, value: Lapsed, exc: NonRetriable) -> None:
        """End what cannot be told: it would keep all others from being told."""
        _untold.inc()
        log.error("lapse.untold", **value.key._asdict(), topic=value.topic, reason=str(exc))
        try:
            await self._engine.transact(_nothing, lapsed=(value.id,))
        except Conflict:
            log.debug("lapse.told_by_another", group=value.key.group)


async def _nothing(_ctx: Context) -> None:
    """Change nothing but what the commit ends."""
