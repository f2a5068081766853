"""The task that tends the telemetry store once a minute."""

from collections.abc import Callable

import anyio
import structlog

from cloud.timeseries.port import StoreAway, TimeSeries

EVERY_S = 60.0

log = structlog.get_logger()


async def keep_tended(
    store: TimeSeries, now_ms: Callable[[], int], *, every_s: float = EVERY_S
) -> None:
    """Tend the store until cancelled; logs once when it is away and once when it is back."""
    is_away = False
    while True:
        try:
            await store.tend(now_ms())
        except StoreAway as exc:
            if not is_away:
                log.warning("store.untended", reason=str(exc))
            is_away = True
        else:
            if is_away:
                log.info("store.tended")
            is_away = False
        await anyio.sleep(every_s)
