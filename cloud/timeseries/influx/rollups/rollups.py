"""The rollups of one database of InfluxDB 1: what marks and makes them, put together."""

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from cloud.timeseries.influx.rollups.marking import Marking
from cloud.timeseries.influx.rollups.notes import Notes
from cloud.timeseries.influx.rollups.roller import Roller
from cloud.timeseries.influx.rollups.rolling import REST_S, Rolling
from cloud.timeseries.servers.http import Http
from wire.points import PointBatch


class Keep(NamedTuple):
    """How long things are to be kept.

    days: points; None leaves that to the server.
    rollup_days: rollups; None is for ever.
    rest_s: how long an announcement rests before it is acted on (see `rolling`).
    """

    days: float | None = None
    rollup_days: float | None = None
    rest_s: float = REST_S


class Rollups:
    """Rollups behind the calls of `cloud.timeseries.port.TimeSeries`."""

    def __init__(self, http: Http, notes: Notes, keep: Keep) -> None:
        self._marking = Marking(notes)
        self._rolling = Rolling(Roller(http), notes, keep_days=keep.rollup_days, rest_s=keep.rest_s)

    def covering(self, batch: PointBatch) -> AbstractAsyncContextManager[None]:
        """Mark what is late of a batch that is written inside (see `marking`)."""
        return self._marking.covering(batch)

    async def tend(self, now_ms: int) -> None:
        """Roll up for a while (see `rolling`)."""
        await self._rolling.tend(now_ms)
        self._marking.forget()
