"""What a record holds of a batch, packed: columns for the store, and what its letters need. Pure.

The columns are kept decoded: draining asks neither formats nor rules nor sequences again, which
may be others by then (a Sparkplug alias, a changed setting), and cannot judge differently what
has been acknowledged. The payloads lie beside them, for dead letters; they say the same as the
columns do and pack together with them.
"""

import sys
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import TypeVar

import msgspec

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk
from cloud.ingest.ledger.accounts import NewLetter
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch, Rows, Shape

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 1

Census = dict[DeviceKey, int]
T = TypeVar("T")


class Unreadable(ValueError):
    """The bytes are whole, but no contents: another version wrote them."""


class Message(msgspec.Struct, array_like=True, frozen=True):
    """A message of which readings are to be stored: `taken` are their indexes in its payload."""

    device: int
    topic: bytes
    payload: bytes
    content_type: str | None
    received_ms: int
    taken: list[int]
    points: int


class Contents(msgspec.Struct, array_like=True, frozen=True):
    """A batch without what is not to be stored. Times and orders as differences.

    The columns hold points; `widths` are the readings' numbers of points. Records of earlier
    versions have none: each of their points is a reading to the store.
    """

    devices: list[tuple[str, str]]
    messages: list[Message]
    series: list[tuple[int, str]]
    places: list[int]
    ts_steps: list[int]
    order_steps: list[int]
    values: list[Value]
    widths: list[int] = []

    def device(self, index: int) -> DeviceKey:
        """Return whose message `index` is."""
        tenant, device = self.devices[self.messages[index].device]
        return DeviceKey(TenantId(tenant), DeviceId(device))

    def points(self) -> PointBatch:
        """Return the columns for the store."""
        keys = [
            SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))
            for place, metric in self.series
            for tenant, device in (self.devices[place],)
        ]
        times_ms, orders = list(accumulate(self.ts_steps)), list(accumulate(self.order_steps))
        if not self.widths:
            series = [keys[place] for place in self.places]
            return PointBatch(series, times_ms, self.values, orders)
        shapes: dict[tuple[int, ...], Shape] = {}
        rows, starts = Rows(), list(accumulate(self.widths, initial=0))
        for start, stop in pairwise(starts):
            places = tuple(self.places[start:stop])
            shape = shapes.get(places)
            if shape is None:
                shape = shapes[places] = Shape([keys[place] for place in places])
            rows.shapes.append(shape)
            rows.values.append(tuple(self.values[start:stop]))
        rows.ts_ms = [times_ms[start] for start in starts[:-1]]
        rows.order = [orders[start] for start in starts[:-1]]
        return PointBatch.of(rows)

    def ends(self) -> list[int]:
        """Return the number of `points().rows` up to and including each message."""
        sizes = [len(one.taken) if self.widths else one.points for one in self.messages]
        return list(accumulate(sizes))

    def letter(self, index: int, reason: str) -> NewLetter:
        """Return the dead letter of a message that the store refuses."""
        message = self.messages[index]
        return NewLetter(
            self.device(index),
            message.topic.decode(errors="replace"),
            reason,
            message.payload,
            len(message.taken),
            message.received_ms,
            message.taken,
            content_type=message.content_type,
        )


def contents_of(batch: Batch) -> Contents:
    """Return what a record is to hold of a batch."""
    devices, series = dict[DeviceKey, int](), dict[SeriesKey, int]()
    messages, ended = list[Message](), 0
    widths = list(map(len, batch.points.rows.values))
    for index, (chunk, place) in enumerate(_origins(batch)):
        device, taken, end = batch.devices[index], batch.taken[index], batch.ends[index]
        if device is not None and taken:
            received = chunk.messages
            message = Message(
                devices.setdefault(device, len(devices)),
                received.topics[place],
                received.payloads[place],
                received.content_types.get(place),
                chunk.received_ms,
                list(taken),
                sum(widths[ended:end]),
            )
            messages.append(message)
        ended = end
    points = batch.points
    places = [series.setdefault(key, len(series)) for key in points.series]
    names = [
        (devices.setdefault(DeviceKey(*key[:2]), len(devices)), str(key.metric)) for key in series
    ]
    ts_steps, order_steps = _steps(points.ts_ms), _steps(points.order)
    return Contents(
        list(devices), messages, names, places, ts_steps, order_steps, points.values, widths
    )


def census_of(contents: Contents) -> Census:
    """Return how many readings of each device there are."""
    counts = Census()
    for index, message in enumerate(contents.messages):
        device = contents.device(index)
        counts[device] = counts.get(device, 0) + len(message.taken)
    return counts


def packed(contents: Contents) -> bytes:
    """Return contents as bytes."""
    return zstd.compress(msgspec.msgpack.encode(contents), _LEVEL)


def unpacked(data: bytes) -> Contents:
    """Return the contents of a record that was found whole; raise `Unreadable`."""
    return _unpacked(data, Contents)


def packed_census(census: Census) -> bytes:
    """Return a census as bytes."""
    rows = [(*device, readings) for device, readings in census.items()]
    return zstd.compress(msgspec.msgpack.encode(rows), _LEVEL)


def unpacked_census(data: bytes) -> Census:
    """Return the census of a record that was found whole; raise `Unreadable`."""
    rows = _unpacked(data, list[tuple[TenantId, DeviceId, int]])
    return {DeviceKey(tenant, device): readings for tenant, device, readings in rows}


def _unpacked(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(zstd.decompress(data), type=shape)
    except (zstd.ZstdError, msgspec.DecodeError) as exc:
        raise Unreadable(f"a record of another version: {exc}") from exc


def _origins(batch: Batch) -> Iterator[tuple[Chunk, int]]:
    """Return every message of a batch, in order: its chunk, and its place there."""
    for chunk, start, stop in batch.segments:
        for place in range(start, stop):
            yield chunk, place


def _steps(numbers: list[int]) -> list[int]:
    """Return differences: near each other, as times and sequences are, they pack far better."""
    return [after - before for before, after in pairwise([0, *numbers])]
