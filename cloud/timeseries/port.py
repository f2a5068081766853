"""The port behind which telemetry is stored and read."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

import msgspec

from tidegate import errors
from wire.ids import SeriesKey
from wire.messages import Value
from wire.points import PointBatch

Aggregate = Literal["mean", "min", "max", "last", "sum", "count"]


class SeriesQuery(msgspec.Struct, frozen=True):
    """Which points to read: `from_ms` inclusive, `to_ms` exclusive (Unix ms).

    Without `step_ms` all raw points come, in order of time, and those of the same time by their
    `order` (`wire.points.PointBatch`). With it, one point for each step
    that has data: `aggregate` over [step start, step start + step), at the step's start; steps
    are aligned to multiples of `step_ms`; texts and booleans are left out.
    `tenant`, `device` or `metric` None means all.
    """

    from_ms: int
    to_ms: int
    tenant: str | None = None
    device: str | None = None
    metric: str | None = None
    step_ms: int | None = None
    aggregate: Aggregate = "mean"


class Series(NamedTuple):
    """Points of one series, in order of time: [(Unix ms, value), …]."""

    key: SeriesKey
    points: list[tuple[int, Value]]


class Latest(NamedTuple):
    """The newest point of a series by its own time; of several the one of the highest order."""

    key: SeriesKey
    ts_ms: int
    value: Value


class Place(NamedTuple):
    """Where a page begins: at a point, which need not be there (any more)."""

    key: SeriesKey
    ts_ms: int
    order: int


class Page(NamedTuple):
    """Some series' points, and where the next page begins; None after the last."""

    series: list[Series]
    next: Place | None


class TimeSeriesError(Exception):
    """Root of what a store can answer.

    ├── StoreAway       transient: nothing is known to be written; the caller retries (also
    │                   a `tidegate.errors.StoreAway`: who lets it pass answers 503)
    ├── PointsRejected  permanent for these points; the caller dead-letters them
    └── Unsupported     permanent: this store has no way to do it; the operator acts
    """


class StoreAway(TimeSeriesError, errors.StoreAway):
    """The store cannot take or answer anything now.

    `retry_after_s` is how long it asks to be left alone, 0 when it did not say.
    """

    def __init__(self, reason: str = "", *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class PointsRejected(TimeSeriesError):
    """The store will never take these points.

    `readings` says which (index in the batch's rows → reason), and then all others are stored.
    Where it is empty, the store does not know which: the caller halves the batch to find out.
    """

    def __init__(self, reason: str = "", *, readings: Mapping[int, str] | None = None) -> None:
        super().__init__(reason)
        self.readings: Mapping[int, str] = readings or {}


class Unsupported(TimeSeriesError):
    """The store cannot do that at all."""


class TimeSeries(Protocol):
    """A store of points. Every method but `prepare` may raise `StoreAway`."""

    async def prepare(self, batch: PointBatch) -> None:
        """Do what `write` will need and no other batch has to wait for; raises nothing.

        For who has the next batch while one is being written. `write` can do without.
        """
        ...

    async def write(self, batch: PointBatch) -> None:
        """Store a batch; durable on return.

        Idempotent: a point with the same series, time and `order` as a stored one replaces it;
        points of the same series and time, but of different orders, all stay. Callers may write
        concurrently; the order between concurrent batches is not defined.

        Raises:
            PointsRejected: some of the batch can never be stored as it is. Readings that it
                does not name are stored, of those it names some points or none; when it names
                none, some or none of the batch are stored, and writing parts of it again does
                no harm.
        """
        ...

    async def read(self, query: SeriesQuery, *, limit: int | None = None) -> list[Series]:
        """Return the series that have points in the range, ordered by key.

        `limit` bounds the points in all; what is beyond it is left out at the end.

        Of times before the retention of points (`tend`) there are no raw points. A store that
        rolls up (DuckDB, InfluxDB 1) still answers steps that are multiples of five minutes there,
        or of an hour: from its buckets of that length which lie wholly in the range.
        """
        ...

    async def page(self, query: SeriesQuery, *, limit: int, start: Place | None = None) -> Page:
        """Return at most `limit` raw points from `start` on, ordered by key, time and order.

        Following `next` gives every point of the range once, whatever is stored meanwhile.
        `step_ms` is not looked at. Costs about the same for one series as for thousands.
        """
        ...

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Return the newest point of each series, ordered by key."""
        ...

    async def delete(self, tenant: str, device: str | None = None) -> None:
        """Delete everything of a device, or of a whole tenant; durable on return.

        Nothing of it can be read any more; its space may be given back later, by `tend`. What is
        written meanwhile may stay or go, what is written afterwards stays. Deleting what is not
        there is nothing.

        Raises:
            Unsupported: the store has no way to delete.
        """
        ...

    async def tend(self, now_ms: int) -> None:
        """Do what has to be done now and then: drop what is older than is to be kept, roll up.

        Called about once a minute; `now_ms` is Unix time. It never holds writes up for long.
        Points go by their own time, in whole hours. One that arrives when its time is dropped
        already may be read until the next call; then its number is taken into the rollups, where
        it cannot have been counted before, and it goes too. So does `latest` of a series of which
        no point is left.
        """
        ...

    async def ping(self) -> None:
        """Return when the store answers; raise `StoreAway` when it does not."""
        ...
