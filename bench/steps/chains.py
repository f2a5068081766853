"""Chains of two durable steps, and the latency of one, for us and for each peer."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.cores import MEASURED
from bench.report import Row
from bench.runs import Run, Series, ratio
from bench.servers import Postgres, redis
from bench.steps.processes import found_by

ROUNDS = 3
_TIMEOUT_S = 900.0
_START_S = 2.0
_OURS = "ours"

NewDatabase = Callable[[], str]


class Entry(NamedTuple):
    """Who takes part: its module below `bench.steps`, on what, how often, and about how fast."""

    name: str
    title: str
    module: str
    server: str
    chains: int
    chains_per_s: float
    events: int
    event_s: float


ENTRIES = (
    Entry("ours_sqlite", "ours, SQLite FULL", "ours", "sqlite", 40_000, 10_000, 1_000, 0.004),
    Entry("ours_postgres", "ours, PostgreSQL", "ours", "postgres", 40_000, 7_000, 1_000, 0.005),
    Entry("taskiq", "Taskiq, Redis", "peers.taskiq_redis", "redis", 10_000, 800, 500, 0.005),
    Entry(
        "faststream",
        "FastStream, Redis",
        "peers.faststream_redis",
        "redis",
        10_000,
        900,
        500,
        0.005,
    ),
    Entry(
        "procrastinate",
        "procrastinate, PostgreSQL",
        "peers.procrastinate_postgres",
        "postgres",
        2_000,
        150,
        200,
        0.01,
    ),
    Entry("dbos_sqlite", "DBOS, SQLite", "peers.dbos_queue", "sqlite", 500, 40, 100, 0.05),
    Entry("dbos_postgres", "DBOS, PostgreSQL", "peers.dbos_queue", "postgres", 500, 45, 100, 0.05),
)


def runs(folder: Path, server: Postgres, *, scale: float) -> list[Run]:
    """Return all runs, the contenders by turns so that a slow minute hits all of them."""
    found = []
    for _ in range(ROUNDS):
        for entry in ENTRIES:
            chains = scaled(entry.chains, scale)
            estimate_s = _START_S + chains / entry.chains_per_s
            measure = _measure(entry, "chains", chains, folder, server)
            found.append(Run(f"chains, {entry.title}", estimate_s, measure))
            events = scaled(entry.events, scale)
            estimate_s = _START_S + events * entry.event_s
            measure = _measure(entry, "latency", events, folder, server)
            found.append(Run(f"latency, {entry.title}", estimate_s, measure))
            if entry.module == _OURS:
                measure = _measure(entry, "committed", events, folder, server)
                found.append(Run(f"latency to commit, {entry.title}", estimate_s, measure))
    return found


def scaled(count: int, scale: float) -> int:
    """Return a count for a quick try, never so small that nothing can be told."""
    return max(20, round(count * scale))


def rows(series: Series) -> list[Row]:
    """Return the table's part: chains a second, then latencies."""
    speeds = [
        Row(f"chains, {entry.title}", series[f"{entry.name}.chains_per_s"], "chains/s")
        for entry in ENTRIES
    ]
    waits = [
        Row(f"emit to handled {part}, {entry.title}", series[f"{entry.name}.{part}_ms"], "ms")
        for entry in ENTRIES
        for part in ("p50", "p99")
    ]
    commits = [
        Row(
            f"emit to committed {part}, {entry.title}",
            series[f"{entry.name}.committed_{part}_ms"],
            "ms",
        )
        for entry in ENTRIES
        if entry.module == _OURS
        for part in ("p50", "p99")
    ]
    return speeds + waits + commits


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part."""

    def times(ours: str, theirs: str) -> float:
        return ratio(series, f"{ours}.chains_per_s", f"{theirs}.chains_per_s")

    return {
        "vs_dbos_sqlite": times("ours_sqlite", "dbos_sqlite"),
        "vs_dbos_postgres": times("ours_postgres", "dbos_postgres"),
        "vs_taskiq_sqlite": times("ours_sqlite", "taskiq"),
        "vs_taskiq_postgres": times("ours_postgres", "taskiq"),
        "vs_faststream_sqlite": times("ours_sqlite", "faststream"),
        "vs_procrastinate_postgres": times("ours_postgres", "procrastinate"),
        "sqlite_chains_per_s": round(median(series["ours_sqlite.chains_per_s"])),
        "postgres_chains_per_s": round(median(series["ours_postgres.chains_per_s"])),
        "p50_ms": round(median(series["ours_sqlite.committed_p50_ms"]), 3),
        "p50_postgres_ms": round(median(series["ours_postgres.committed_p50_ms"]), 3),
        "p50_last_line_ms": round(median(series["ours_sqlite.p50_ms"]), 3),
        "p50_last_line_vs_taskiq": ratio(series, "ours_sqlite.p50_ms", "taskiq.p50_ms"),
    }


def _measure(
    entry: Entry, what: str, count: int, folder: Path, server: Postgres
) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with _where(entry.server, folder, server) as (own, url):
            found = found_by(
                "bench.steps.contender",
                *(entry.module, what, "--count", str(count), "--folder", str(own), "--url", url),
                core=MEASURED,
                timeout_s=_TIMEOUT_S,
            )
        return {f"{entry.name}.{name}": value for name, value in found.items()}

    return measure


@contextmanager
def _where(kind: str, folder: Path, server: Postgres) -> Iterator[tuple[Path, str]]:
    """Give an empty folder and an empty server: nobody finds what a run before him left."""
    with ExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        if kind == "redis":
            yield own, stack.enter_context(redis(own))
        else:
            yield own, server.new_database() if kind == "postgres" else kind
