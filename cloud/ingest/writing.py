"""Write points of many messages, and find out which messages the store will never take."""

import bisect
from collections.abc import Awaitable, Callable, Mapping, Sequence

from cloud.timeseries.port import PointsRejected
from wire.points import PointBatch

Write = Callable[[PointBatch], Awaitable[None]]


async def write_what_goes(write: Write, points: PointBatch, ends: Sequence[int]) -> dict[int, str]:
    """Write points; `ends[i]` is the number of their readings up to and including message i.

    Points that the store will never take are isolated, by the store or else by halving, down to
    the message that holds them. Returns the refused messages and the reasons; everything else is
    durable.
    """
    rejected: dict[int, str] = {}
    waiting = [(0, len(ends))] if ends else []
    while waiting:
        first, last = waiting.pop()
        start, stop = ends[first - 1] if first else 0, ends[last - 1]
        if start == stop:
            continue
        is_all = stop - start == len(points.rows)
        try:
            await write(points if is_all else PointBatch.of(points.rows.part(start, stop)))
        except PointsRejected as exc:
            if exc.readings:
                rejected.update(_messages_of(exc.readings, ends, start))
            elif last - first == 1:
                rejected[first] = str(exc)
            else:
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
    return rejected


def _messages_of(readings: Mapping[int, str], ends: Sequence[int], start: int) -> dict[int, str]:
    """Return message → reason for refused readings, counted from `start` on."""
    return {bisect.bisect_right(ends, start + one): reason for one, reason in readings.items()}
