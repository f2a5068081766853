"""What a dashboard asks of the store: mean, min and max by five minutes of 100 series, 24 hours.

The points are written through the store in order of time, as ingest writes them, then tended until
everything is rolled up. The same questions are asked twice: answered from rollups, and from raw
points (of a step that no rollup serves: five minutes and a millisecond). One process; no HTTP.
"""

import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import anyio
import duckdb
import numpy as np

from bench.report import Report, Row
from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.port import Aggregate, SeriesQuery
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

POINTS = 10_000_000
DEVICES = 10
METRICS = 100
ASKED_DEVICE = "d3"
RUNS = 11
_BATCH_TIMES = 5
_FIVE_MINUTES_MS = 5 * 60_000
_INTERVAL_MS = 10_000
_DAY_MS = 24 * 60 * 60_000
_START_MS = 1_700_000_000_000 // _DAY_MS * _DAY_MS
_AGGREGATES: tuple[Aggregate, ...] = ("mean", "min", "max")


def run(*, points: int = POINTS) -> Report:
    """Fill a store, roll it up, ask."""
    return anyio.run(_run, points)


async def _run(points: int) -> Report:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "telemetry.duckdb"
        async with DuckDB(path, TimeSeriesStore()) as store:
            wrote_s, end_ms = await _fill(store, points)
            tended_s = await _tend(store, end_ms + _DAY_MS)
            raw = [await _ask(store, end_ms, _FIVE_MINUTES_MS + 1) for _ in range(RUNS)]
            rolled = [await _ask(store, end_ms, _FIVE_MINUTES_MS) for _ in range(RUNS)]
            rss_mb = _resident_mb()
        size_mb = path.stat().st_size / 2**20
        buckets = _buckets(path)
    rows = [
        Row("raw points", raw, "ms"),
        Row("rollups", rolled, "ms"),
        Row("writing", [points / wrote_s], "points/s"),
        Row("rolling up", [points / tended_s], "points/s"),
    ]
    figures: dict[str, object] = {
        "dashboard_rollups_p50_ms": round(median(rolled), 1),
        "dashboard_rollups_p95_ms": round(quantiles(rolled, n=20)[-1], 1),
        "dashboard_raw_p50_ms": round(median(raw), 1),
        "dashboard_raw_p95_ms": round(quantiles(raw, n=20)[-1], 1),
        "rollups_vs_raw": round(median(raw) / median(rolled), 2),
        "points": points,
        "series": DEVICES * METRICS,
        "buckets": buckets,
        "file_mb": round(size_mb, 1),
        "rss_mb": rss_mb,
    }
    return Report("dashboard: mean, min, max by 5 min, 100 of 1,000 series, 24 h", rows, figures)


async def _fill(store: DuckDB, points: int) -> tuple[float, int]:
    """Write the points of 1,000 series, one every 10 s; return how long it took, and their end."""
    keys = [
        SeriesKey(TenantId("acme"), DeviceId(f"d{device}"), MetricName(f"m{metric}"))
        for device in range(DEVICES)
        for metric in range(METRICS)
    ]
    rng = np.random.default_rng(7)
    times = max(points // len(keys), _BATCH_TIMES)
    began_s = time.perf_counter()
    for first in range(0, times, _BATCH_TIMES):
        instants = range(first, min(first + _BATCH_TIMES, times))
        times_ms = [_START_MS + instant * _INTERVAL_MS for instant in instants for _ in keys]
        values = rng.normal(20.0, 5.0, len(times_ms)).round(2).tolist()
        await store.write(PointBatch(keys * len(instants), times_ms, values))
    return time.perf_counter() - began_s, _START_MS + times * _INTERVAL_MS


async def _tend(store: DuckDB, now_ms: int) -> float:
    began_s = time.perf_counter()
    await store.tend(now_ms)
    return time.perf_counter() - began_s


async def _ask(store: DuckDB, end_ms: int, step_ms: int) -> float:
    """Ask for the last 24 hours of one device's 100 series; return how long it took, in ms."""
    began_s = time.perf_counter()
    for aggregate in _AGGREGATES:
        query = SeriesQuery(
            end_ms - _DAY_MS, end_ms, "acme", ASKED_DEVICE, step_ms=step_ms, aggregate=aggregate
        )
        found = await store.read(query)
        if len(found) != METRICS:
            raise RuntimeError(f"{len(found)} series were found, {METRICS} are there")
    return (time.perf_counter() - began_s) * 1_000


def _resident_mb() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * 4096 // 2**20


def _buckets(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as database:
        return int(database.execute("SELECT count(*) FROM rollups_5m").fetchall()[0][0])
