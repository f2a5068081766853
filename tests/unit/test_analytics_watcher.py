"""The component that watches stored points: queue, order, checkpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest

from cloud.analytics import checkpoint
from cloud.analytics.scoring import Scorer
from cloud.analytics.watcher import Watcher
from cloud.settings import Analytics
from tidegate.errors import StoreAway
from wire.events import AnomalyDetected
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch, StoredBatch

pytestmark = pytest.mark.anyio


def _key(metric: str) -> SeriesKey:
    return SeriesKey(TenantId("acme"), DeviceId("pump-1"), MetricName(metric))


def _batch(values: list[float], *, metric: str = "flow", from_ms: int = 0) -> PointBatch:
    batch = PointBatch()
    for index, value in enumerate(values):
        batch.append(_key(metric), from_ms + index * 1000, value)
    return batch


def _noise(points: int, seed: int = 3) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(20.0, 0.5, points)]


class _Events:
    """Takes what is emitted; `away` makes the store of events unavailable."""

    def __init__(self, *, away: bool = False) -> None:
        self.told: list[AnomalyDetected] = []
        self.away = away

    async def emit(self, topic: str, data: object) -> None:
        if self.away:
            raise StoreAway("state.db does not answer")
        assert topic == "anomaly.detected"
        assert isinstance(data, AnomalyDetected)
        self.told.append(data)


@asynccontextmanager
async def _running(watcher: Watcher) -> AsyncIterator[None]:
    """Run a watcher, let it finish what was offered, stop it."""
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run)
        yield
        with anyio.fail_after(5):
            while watcher.queue_counts.waiting_batches:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.005)
        group.cancel_scope.cancel()


async def test_watcher_tells_of_an_obvious_fault() -> None:
    """A spike after normal points becomes one `anomaly.detected` with its details."""
    events = _Events()
    watcher = Watcher(Analytics(), events.emit)

    async with _running(watcher):
        watcher.offer(StoredBatch(_batch([*_noise(300), 35.0, *_noise(20)]), {}))

    (told,) = [event for event in events.told if event.ts_ms == 300_000]
    assert (told.tenant, told.device, told.metric) == _key("flow")
    assert told.value == 35.0
    assert told.expected == pytest.approx(20.0, abs=1.0)
    assert told.score > 0.35
    assert watcher.counts.scored == 321


async def test_watcher_drops_the_oldest_batch_when_its_queue_is_full() -> None:
    """A full queue loses its oldest batch, and counts it; offering never blocks."""
    watcher = Watcher(Analytics(queue_batches=2), _Events().emit)

    for size in (3, 4, 5):
        watcher.offer(StoredBatch(_batch([1.0] * size), {}))

    assert watcher.queue_counts.dropped_batches == 1
    assert watcher.queue_counts.dropped_points == 3
    assert watcher.queue_counts.waiting_batches == 2


async def test_watcher_survives_events_that_cannot_be_told() -> None:
    """An anomaly that cannot be emitted is counted and scoring goes on."""
    watcher = Watcher(Analytics(), _Events(away=True).emit)

    async with _running(watcher):
        watcher.offer(StoredBatch(_batch([*_noise(300), 35.0]), {}))

    assert watcher.queue_counts.lost_events == 1
    assert watcher.counts.anomalies == 1


async def test_watcher_continues_after_a_restart(tmp_path: Path) -> None:
    """What was learned before a stop is known after it: no second warm-up."""
    events, path = _Events(), tmp_path / "detectors.npz"
    before = Watcher(Analytics(), events.emit, checkpoint_path=path)
    async with _running(before):
        before.offer(StoredBatch(_batch(_noise(300)), {}))

    after = Watcher(Analytics(), events.emit, checkpoint_path=path)
    async with _running(after):
        after.offer(StoredBatch(_batch([35.0], from_ms=300_000), {}))

    assert [event.value for event in events.told] == [35.0]


async def test_watcher_sets_a_damaged_checkpoint_aside(tmp_path: Path) -> None:
    """A damaged file is kept under another name and the watcher starts without history."""
    path = tmp_path / "detectors.npz"
    path.write_bytes(b"PK\x03\x04 this is no archive")

    watcher = Watcher(Analytics(), _Events().emit, checkpoint_path=path)
    async with _running(watcher):
        watcher.offer(StoredBatch(_batch([1.0]), {}))

    assert (tmp_path / "detectors.npz.unusable").read_bytes().startswith(b"PK")
    assert checkpoint.load(path) is not None


def test_points_that_are_not_newer_are_not_scored() -> None:
    """Late points and points delivered twice teach nothing."""
    scorer, batch = Scorer(10), _batch([1.0, 2.0, 3.0])

    scorer.score([batch])
    scorer.score([batch, _batch([9.0], from_ms=500)])

    assert scorer.counts.scored == 3
    assert scorer.counts.out_of_order == 4


def test_texts_and_booleans_are_not_scored() -> None:
    """Only numbers have a distribution."""
    batch = PointBatch()
    values: list[Value] = [True, "auto", 1.0]
    for at, value in enumerate(values):
        batch.append(_key("mode"), at, value)
    scorer = Scorer(10)

    scorer.score([batch])

    assert (scorer.counts.scored, scorer.counts.not_numeric) == (1, 2)


def test_series_are_bounded() -> None:
    """Series beyond `max_series` are not watched, and counted."""
    scorer = Scorer(100)

    for number in range(120):
        scorer.score([_batch([1.0, 2.0], metric=f"m{number}")])

    assert scorer.counts.series == 100
    assert scorer.counts.beyond_max_series == 40


def test_checkpoint_keeps_everything(tmp_path: Path) -> None:
    """Saved and loaded, a scorer tells the same anomalies as one that never stopped."""
    whole, path = Scorer(10), tmp_path / "detectors.npz"
    whole.score([_batch(_noise(300), metric=metric) for metric in ("flow", "größe 'x'")])

    checkpoint.save(path, whole.snapshot())
    loaded, restored = checkpoint.load(path), Scorer(10)
    assert loaded is not None
    restored.restore(loaded)

    later = [_batch([20.0, 35.0], metric="größe 'x'", from_ms=300_000)]
    assert restored.score(later) == whole.score(later) != []
    assert restored.score(later) == []  # delivered again
    restored.score([_batch([9.0], from_ms=1000)])  # late, from before the stop
    assert restored.counts.out_of_order == 3


@pytest.mark.parametrize("cut", [0, 10, 500, -20])
def test_cut_checkpoint_is_unusable(tmp_path: Path, cut: int) -> None:
    """A file that lost its end is refused, not half loaded."""
    scorer, path = Scorer(10), tmp_path / "detectors.npz"
    scorer.score([_batch(_noise(100))])
    checkpoint.save(path, scorer.snapshot())
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(checkpoint.Unusable):
        checkpoint.load(path)


def test_pickled_checkpoint_is_never_loaded(tmp_path: Path) -> None:
    """Objects in a file are refused: loading them could run code."""
    path = tmp_path / "detectors.npz"
    np.savez(path, header=np.array([object()]), last_ms=np.zeros(0), state=np.zeros(0))

    with pytest.raises(checkpoint.Unusable):
        checkpoint.load(path)
