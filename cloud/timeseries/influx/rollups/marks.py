"""Hours of devices whose points have changed since they were rolled up. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cloud.timeseries.buckets import HOUR_MS, Stretch, floor_to
from cloud.timeseries.influx.influxql import Whose
from wire.points import PointBatch

# From so many devices on an hour is rolled up for all: one statement instead of one for each.
MANY_DEVICES = 50


class Mark(NamedTuple):
    """An hour (its start in Unix ms) of a device."""

    hour_ms: int
    tenant: str
    device: str


class Redo(NamedTuple):
    """What is to be rolled up anew, in one piece."""

    stretch: Stretch
    whose: Whose


def marks_of(batch: PointBatch, before_ms: int) -> set[Mark]:
    """Return the hours of a batch's readings that lie before a time."""
    rows = batch.rows
    if not len(rows) or min(rows.ts_ms) >= before_ms:
        return set()
    return {
        Mark(floor_to(HOUR_MS, ts_ms), shape.series[0].tenant, shape.series[0].device)
        for shape, ts_ms in zip(rows.shapes, rows.ts_ms, strict=True)
        if ts_ms < before_ms and shape.series
    }


def whole_hours(page: Sequence[Mark], *, is_full: bool) -> tuple[list[Redo], int]:
    """Return what a page of marks, by time, asks for, and the time (ms) that the next begins at.

    A full page ends in the middle of an hour: that is left to the next, or when there is no other
    hour in it, rolled up for everybody.
    """
    last_ms = page[-1].hour_ms
    if not is_full:
        return _redos(page), last_ms + HOUR_MS
    whole = [mark for mark in page if mark.hour_ms < last_ms]
    if whole:
        return _redos(whole), last_ms
    return [Redo(Stretch(last_ms, last_ms + HOUR_MS), Whose())], last_ms + HOUR_MS


def merged(hours_ms: Iterable[int]) -> list[Stretch]:
    """Join hours that follow one another."""
    stretches: list[Stretch] = []
    for hour_ms in sorted(set(hours_ms)):
        if stretches and stretches[-1].to_ms == hour_ms:
            stretches[-1] = stretches[-1]._replace(to_ms=hour_ms + HOUR_MS)
        else:
            stretches.append(Stretch(hour_ms, hour_ms + HOUR_MS))
    return stretches


def _redos(marks: Iterable[Mark]) -> list[Redo]:
    by_hour: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for mark in marks:
        by_hour[mark.hour_ms].add((mark.tenant, mark.device))
    crowded = [hour_ms for hour_ms, whose in by_hour.items() if len(whose) > MANY_DEVICES]
    by_device: dict[tuple[str, str], list[int]] = defaultdict(list)
    for hour_ms, devices in by_hour.items():
        if len(devices) <= MANY_DEVICES:
            for device in devices:
                by_device[device].append(hour_ms)
    redos = [Redo(stretch, Whose()) for stretch in merged(crowded)]
    for device, hours_ms in by_device.items():
        redos += [Redo(stretch, Whose(*device)) for stretch in merged(hours_ms)]
    return redos
