"""The live hub: coalesced, bounded, never waiting."""

from typing import Any, NamedTuple

import anyio
import msgspec
import pytest

from cloud.dashboard.live import LiveHub
from cloud.dashboard.live_client import Client, Entry
from wire.events import AlertNotice
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000


class Seen(NamedTuple):
    """What is known of one device."""

    last_heard_ms: int | None
    online: bool | None


class FakePresence:
    """A fleet's presence that the test sets."""

    def __init__(self) -> None:
        self.seen: dict[DeviceKey, Seen] = {}

    def all(self) -> dict[DeviceKey, Seen]:
        """Return it."""
        return self.seen


def device(name: str) -> DeviceKey:
    """Return a device's key."""
    return DeviceKey(TenantId("plant"), DeviceId(name))


def series(name: str, metric: str = "flow") -> SeriesKey:
    """Return a series' key."""
    return SeriesKey(TenantId("plant"), DeviceId(name), MetricName(metric))


def stored(*points: tuple[SeriesKey, int, float]) -> StoredBatch:
    """Return a stored batch of these points."""
    batch = PointBatch()
    for key, ts_ms, value in points:
        batch.append(key, ts_ms, value)
    return StoredBatch(batch, {})


def notice(name: str, alert_id: str = "a1") -> AlertNotice:
    """Return a firing alert of a device."""
    return AlertNotice(
        alert_id=alert_id,
        rule="hot",
        tenant="plant",
        device=name,
        metric="flow",
        status="firing",
        severity="warning",
        summary="too much",
        started_at_ms=NOW_MS,
    )


def make_hub(presence: FakePresence | None = None, **options: Any) -> LiveHub:
    """Return a hub with a clock that stands still."""
    return LiveHub(presence or FakePresence(), clock_ms=lambda: NOW_MS, **options)


def events(frames: str) -> list[tuple[str, Any]]:
    """Return the events of some frames: (name, data)."""
    found = []
    for frame in filter(None, frames.split("\n\n")):
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        if "event" in lines:
            found.append((lines["event"], msgspec.json.decode(lines["data"])))
    return found


async def next_points(stream: Any) -> list[list[Any]]:
    """Return the points of the next frames that hold any event."""
    with anyio.fail_after(5):
        return list(events(await anext(stream))[0][1]["points"])


async def test_hub_sends_only_the_newest_value_of_a_series() -> None:
    """What changed several times between two ticks is sent once, as it is last."""
    hub = make_hub()
    stream = hub.frames()
    await anext(stream)
    await next_points(stream)

    hub.offer(stored((series("a"), 1, 1.0), (series("a"), 2, 2.0)))
    hub.offer(stored((series("a"), 3, 3.0)))
    hub.tick(NOW_MS)

    assert await next_points(stream) == [["plant", "a", "flow", 3, 3.0, "3.00"]]
    await stream.aclose()
    assert hub.clients == 0


async def test_hub_keeps_a_late_point_from_replacing_a_newer_one() -> None:
    """A backlog that arrives late does not turn the shown value back."""
    hub = make_hub()
    hub.offer(stored((series("a"), 10, 1.0)))

    hub.offer(stored((series("a"), 5, 9.0)))

    assert hub.latest(series("a")) == (10, 1.0)


async def test_slow_client_cannot_grow() -> None:
    """A client that reads nothing for a thousand ticks holds one value a series, 100 alerts."""
    hub = make_hub()
    stream = hub.frames()
    await anext(stream)

    for second in range(1_000):
        hub.offer(stored((series("a"), second, float(second)), (series("b"), second, 0.5)))
        hub.announce(notice("a", f"alert-{second}"))
        hub.tick(NOW_MS + second)

    found = events(await anext(stream))
    assert [len(data["points"]) for name, data in found if name == "points"] == [2]
    alerts = [data["alert_id"] for name, data in found if name == "alert"]
    assert alerts == [f"alert-{n}" for n in range(900, 1_000)]
    await stream.aclose()


async def test_client_drops_series_beyond_its_bound_and_counts_them() -> None:
    """New series that do not fit are left out, known ones are still renewed."""
    client = Client(None, max_series=2)
    entries: dict[SeriesKey, Entry] = {
        series(n): ("plant", n, "flow", 1, 1.0, "1") for n in ("a", "b", "c")
    }

    client.put_points(entries)
    client.put_points({series("a"): ("plant", "a", "flow", 2, 2.0, "2")})
    client.put_clock(NOW_MS, 0.0)

    points = events(client.take())[0][1]["points"]
    assert [point[4] for point in points] == [2.0, 1.0]
    assert client.dropped == 1
    assert client.take() == ""


async def test_hub_forgets_the_longest_unseen_series_beyond_its_bound() -> None:
    """A new device is shown however many were there before it; the one that went is forgotten."""
    hub = make_hub(max_series=2)
    stream = hub.frames()
    await anext(stream)
    await next_points(stream)
    hub.offer(stored((series("stays"), 1, 1.0), (series("went"), 1, 1.0)))
    hub.tick(NOW_MS)
    hub.offer(stored((series("stays"), 0, 9.0)))

    hub.offer(stored((series("new"), 2, 2.0)))
    hub.tick(NOW_MS)

    assert hub.latest(series("went")) is None
    assert hub.latest(series("stays")) == (1, 1.0)
    assert hub.dropped == 0
    assert {point[1] for point in await next_points(stream)} == {"went", "stays", "new"}
    await stream.aclose()


async def test_hub_counts_what_it_forgot_before_it_was_told() -> None:
    """More new series between two ticks than the hub holds: the first ones are left out."""
    hub = make_hub(max_series=1)
    stream = hub.frames()
    await anext(stream)
    await next_points(stream)

    hub.offer(stored((series("a"), 1, 1.0), (series("b"), 1, 1.0)))
    hub.tick(NOW_MS)

    assert [point[1] for point in await next_points(stream)] == ["b"]
    await stream.aclose()
    assert hub.latest(series("a")) is None
    assert hub.latest(series("b")) == (1, 1.0)
    assert hub.dropped == 1


async def test_filter_lets_one_device_through() -> None:
    """A device's page hears of no other device: no points, no alerts, no presence."""
    presence = FakePresence()
    hub = make_hub(presence)
    stream = hub.frames(device("a"))
    await anext(stream)
    await next_points(stream)
    presence.seen = {device("a"): Seen(NOW_MS, None), device("b"): Seen(NOW_MS, None)}

    hub.offer(stored((series("a"), 1, 1.0), (series("b"), 1, 1.0)))
    hub.announce(notice("b"))
    hub.announce(notice("a"))
    hub.tick(NOW_MS)

    found = events(await anext(stream))
    assert [name for name, _ in found] == ["points", "presence", "alert"]
    assert [data.get("device", "a") for _, data in found] == ["a", "a", "a"]
    assert [point[1] for point in found[0][1]["points"]] == ["a"]
    await stream.aclose()


async def test_presence_is_told_when_it_changes() -> None:
    """A device that falls silent is told once as stale and once as offline."""
    presence = FakePresence()
    presence.seen = {device("a"): Seen(NOW_MS, True)}
    hub = make_hub(presence)
    stream = hub.frames()
    await anext(stream)
    await anext(stream)

    told = []
    for silence_s in (1, 31, 32, 61):
        hub.tick(NOW_MS + silence_s * 1_000)
        told.append([d["state"] for name, d in events(hub_frames(hub)) if name == "presence"])

    assert told == [[], ["stale"], [], ["offline"]]
    await stream.aclose()


def hub_frames(hub: LiveHub) -> str:
    """Return what the hub's only client has not been told."""
    (client,) = hub._clients
    return client.take()


async def test_quiet_stream_sends_heartbeats() -> None:
    """Without news a comment goes out, so that proxies keep the connection."""
    hub = make_hub(heartbeat_s=0.01)
    stream = hub.frames()
    await anext(stream)
    await anext(stream)

    with anyio.fail_after(5):
        assert await anext(stream) == ": heartbeat\n\n"
    await stream.aclose()


async def test_streams_end_when_the_hub_stops() -> None:
    """Stopping the hub ends every stream, so that the server can stop in time."""
    hub = make_hub(interval_s=0.01)
    received: list[str] = []

    async def read() -> None:
        received.extend([frame async for frame in hub.frames()])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as readers:
            readers.start_soon(read)
            async with anyio.create_task_group() as hubs:
                hubs.start_soon(hub.run)
                await anyio.sleep(0.05)
                hubs.cancel_scope.cancel()

    assert received[0] == "retry: 3000\n\n"
    assert hub.clients == 0


async def test_one_client_too_many_is_refused() -> None:
    """Beyond its bound the hub says that it is full, and a stream that came anyway ends."""
    hub = make_hub(max_clients=1)
    first = hub.frames()
    await anext(first)

    assert hub.is_full
    assert [frame async for frame in hub.frames()] == []
    await first.aclose()
    assert not hub.is_full


async def test_rate_is_the_mean_of_the_last_ten_ticks() -> None:
    """Points a second are counted with and without anybody looking."""
    hub = make_hub()
    for _ in range(20):
        hub.offer(stored((series("a"), 1, 1.0), (series("b"), 1, 1.0)))
        hub.tick(NOW_MS)
    assert hub.points_per_s == 2.0

    for _ in range(5):
        hub.tick(NOW_MS)

    assert hub.points_per_s == 1.0
