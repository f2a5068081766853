"""The tap between ingest and those who watch: bounded, never waiting, never losing its reader."""

import anyio
import pytest

from cloud.timeseries.tap import Tap, until_taken
from tidegate.errors import Conflict, StoreAway
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("flow"))


def _batch(points: int) -> StoredBatch:
    return StoredBatch(PointBatch([_KEY] * points, list(range(points)), [1.0] * points), {})


async def test_tap_drops_the_oldest_batch_when_it_is_full() -> None:
    """A full tap loses its oldest batch, and counts batches and points; offering never waits."""
    tap = Tap("test", max_batches=2)

    for size in (3, 4, 5):
        tap.offer(_batch(size))

    assert (tap.dropped_batches, tap.dropped_points) == (1, 3)
    assert [len(points) for points in await tap.take(1_000)] == [4, 5]


async def test_tap_drops_the_oldest_batches_when_the_points_are_many() -> None:
    """As many as make room; one that is larger than all of it is taken alone."""
    tap = Tap("test", max_batches=9, max_points=10)

    for size in (3, 4, 3, 7):
        tap.offer(_batch(size))

    assert (tap.dropped_batches, tap.dropped_points) == (2, 7)
    assert [len(points) for points in await tap.take(1_000)] == [3, 7]
    for size in (9, 1, 30):
        tap.offer(_batch(size))
    assert [len(points) for points in await tap.take(1_000)] == [30]


async def test_tap_gives_about_as_many_points_as_asked_for() -> None:
    """Whole batches in order of arrival, at least one of them; empty ones are nothing."""
    tap = Tap("test", max_batches=9)
    for size in (0, 3, 4, 5):
        tap.offer(_batch(size))

    assert tap.waiting_batches == 3
    assert [len(points) for points in await tap.take(4)] == [3, 4]
    assert [len(points) for points in await tap.take()] == [5]


async def test_tap_that_is_left_while_waiting_loses_nothing() -> None:
    """A reader that stopped waiting finds the next batch when it comes back."""
    tap = Tap("test", max_batches=9)
    with anyio.move_on_after(0.01):
        await tap.take()

    tap.offer(_batch(1))

    with anyio.fail_after(5):
        assert len(await tap.take()) == 1


@pytest.mark.parametrize("refusal", [StoreAway("not now"), Conflict("changed meanwhile")])
async def test_until_taken_tries_again(refusal: Exception) -> None:
    """A store that does not answer, or that is contended, is asked again; other errors are not."""
    refusals: list[Exception] = [refusal]

    async def send() -> None:
        if refusals:
            raise refusals.pop()

    with anyio.fail_after(5):
        await until_taken(send, what="test")
    refusals.append(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await until_taken(send, what="test")
