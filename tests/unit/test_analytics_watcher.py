"""The component that watches stored points: queue, order, checkpoint."""

from collections.abc import AsyncIterator, Sequence
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
    """Takes what is emitted; the first `away_for` attempts find no store."""

    def __init__(self, *, away_for: int = 0) -> None:
        self.told: list[AnomalyDetected] = []
        self.commits = 0
        self.away_for = away_for
        self.arrived = anyio.Event()

    async def emit_many(self, topic: str, events: Sequence[object]) -> None:
        if self.away_for:
            self.away_for -= 1
            raise StoreAway("state.db does not answer")
        assert topic == "anomaly.detected"
        self.told.extend(event for event in events if isinstance(event, AnomalyDetected))
        self.commits += 1
        self.arrived.set()


@asynccontextmanager
async def _running(watcher: Watcher) -> AsyncIterator[None]:
    """Run a watcher, let it finish what was offered, stop it."""
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run)
        yield
        with anyio.fail_after(5):
            while watcher.tap.waiting_batches:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.005)
        group.cancel_scope.cancel()


async def test_watcher_tells_of_an_obvious_fault() -> None:
    """A spike after normal points becomes one `anomaly.detected` with its details."""
    events = _Events()
    watcher = Watcher(Analytics(), events.emit_many)

    async with _running(watcher):
        watcher.offer(StoredBatch(_batch([*_noise(300), 35.0, *_noise(20)]), {}))

    (told,) = [event for event in events.told if event.ts_ms == 300_000]
    assert (told.tenant, told.device, told.metric) == _key("flow")
    assert told.value == 35.0
    assert told.expected == pytest.approx(20.0, abs=1.0)
    assert told.score > 0.35
    assert watcher.counts.scored == 321


async def test_watcher_tells_of_a_plant_wide_fault_in_one_commit() -> None:
    """The anomalies of many devices at once leave together: all of them, or none."""
    events, batch = _Events(), PointBatch()
    for at, value in enumerate([*_noise(300), 35.0]):
        for device in range(30):
            key = SeriesKey(TenantId("acme"), DeviceId(f"pump-{device}"), MetricName("flow"))
            batch.append(key, at * 1000, value)
    watcher = Watcher(Analytics(), events.emit_many)

    async with _running(watcher):
        watcher.offer(StoredBatch(batch, {}))

    assert len({event.device for event in events.told if event.ts_ms == 300_000}) == 30
    assert events.commits == 1


async def test_watcher_does_not_watch_when_it_is_switched_off() -> None:
    """Nothing waits for a detector that is not wanted."""
    watcher = Watcher(Analytics(enabled=False, queue_batches=2), _Events().emit_many)

    watcher.offer(StoredBatch(_batch([1.0]), {}))

    assert watcher.tap.waiting_batches == 0


async def test_watcher_tells_when_the_store_is_back() -> None:
    """While the store of events is away an anomaly waits; it is told once, and nothing is lost."""
    events = _Events(away_for=2)
    watcher = Watcher(Analytics(), events.emit_many)

    async with _running(watcher):
        watcher.offer(StoredBatch(_batch([*_noise(300), 35.0]), {}))
        with anyio.fail_after(5):
            await events.arrived.wait()

    assert len(events.told) == watcher.counts.anomalies
    assert watcher.lost_events == 0


async def test_watcher_counts_every_anomaly_that_a_stop_leaves_untold() -> None:
    """When the store does not come back before we stop, the loss is counted by its anomalies."""
    batch = PointBatch()
    for at, value in enumerate([*_noise(300), 35.0]):
        for metric in ("flow", "speed"):
            batch.append(_key(metric), at * 1000, value)
    events = _Events(away_for=1_000_000)
    watcher = Watcher(Analytics(), events.emit_many, tell_at_stop_s=0.05)

    async with _running(watcher):
        watcher.offer(StoredBatch(batch, {}))

    assert watcher.counts.anomalies >= 2
    assert watcher.lost_events == watcher.counts.anomalies


async def test_watcher_continues_after_a_restart(tmp_path: Path) -> None:
    """What was learned before a stop is known after it: no second warm-up."""
    events, path = _Events(), tmp_path / "detectors.npz"
    before = Watcher(Analytics(), events.emit_many, checkpoint_path=path)
    async with _running(before):
        before.offer(StoredBatch(_batch(_noise(300)), {}))

    after = Watcher(Analytics(), events.emit_many, checkpoint_path=path)
    async with _running(after):
        after.offer(StoredBatch(_batch([35.0], from_ms=300_000), {}))

    assert [event.value for event in events.told] == [35.0]


async def test_watcher_sets_a_damaged_checkpoint_aside(tmp_path: Path) -> None:
    """A damaged file is kept under another name and the watcher starts without history."""
    path = tmp_path / "detectors.npz"
    path.write_bytes(b"PK\x03\x04 this is no archive")

    watcher = Watcher(Analytics(), _Events().emit_many, checkpoint_path=path)
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
    """Series beyond `max_series` are not watched, and counted, while the others are alive."""
    scorer = Scorer(100)

    for number in range(120):
        scorer.score([_batch([1.0, 2.0], metric=f"m{number}")])

    assert scorer.counts.series == 100
    assert scorer.counts.beyond_max_series == 40


def _full_scorer() -> Scorer:
    """Return a scorer of two series, of which `old` was seen long ago."""
    scorer = Scorer(2)
    scorer.score([_batch(_noise(300), metric="old"), _batch([1.0], metric="busy")])
    scorer.score([_batch(_noise(30), metric="busy", from_ms=1_000_000)])
    return scorer


def test_new_series_takes_the_place_of_the_longest_unseen_one() -> None:
    """A device that went for good does not keep a new one from being watched, nor teach it."""
    scorer, fresh = _full_scorer(), Scorer(2)
    batch = _batch([*_noise(300, seed=9), 35.0], metric="new")

    assert scorer.score([batch]) == fresh.score([batch]) != []
    assert (scorer.counts.series, scorer.counts.forgotten) == (2, 1)
    assert scorer.snapshot().keys == [_key("new"), _key("busy")]


def test_series_that_is_alive_is_not_pushed_out() -> None:
    """With more living series than places those that came first stay, and learn."""
    scorer = Scorer(2)

    for second in range(100):
        at = [_batch([1.0], metric=metric, from_ms=second * 1000) for metric in "abc"]
        scorer.score(at)

    assert scorer.counts.forgotten == 0
    assert scorer.counts.beyond_max_series == 100


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
