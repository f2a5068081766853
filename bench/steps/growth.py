"""What grows with work done: the latency of api calls, the memory of the engine."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from bench.cores import MEASURED, OTHER
from bench.report import Row
from bench.runs import Run, Series
from bench.steps.chains import scaled
from bench.steps.processes import found_by, http_server

ROUNDS = 3
_CALLS = 100_000
_CALL_S = 0.0008
_EVENTS = 1_000_000
_EVENTS_PER_S = 15_000
_START_S = 3.0
_TIMEOUT_S = 1_200.0
_MIB = 1 << 20


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return three runs of calls, and one of events: memory is not a matter of a slow minute."""
    calls, events = scaled(_CALLS, scale), scaled(_EVENTS, scale)
    calling = Run(f"{calls:,} calls", _START_S + calls * _CALL_S, _measure_calls(calls, folder))
    estimate_s = _START_S + events / _EVENTS_PER_S
    handling = Run(f"{events:,} events", estimate_s, _measure_memory(events, folder))
    return [calling] * ROUNDS + [handling]


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    early, late = ([size / _MIB for size in series[name]] for name in ("early_bytes", "late_bytes"))
    return [
        Row("api call p50, first thousand", series["first_p50_ms"], "ms"),
        Row("api call p50, last thousand of 100,000", series["last_p50_ms"], "ms"),
        Row("resident after 10,000 events", early, "MiB"),
        Row("resident after 1,000,000 events", late, "MiB"),
    ]


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part: p50's growth within each run, of these the median."""
    calls = zip(series["first_p50_ms"], series["last_p50_ms"], strict=True)
    memory = zip(series["early_bytes"], series["late_bytes"], strict=True)
    return {
        "p50_growth": round(median(last / first for first, last in calls), 3),
        "rss_growth": round(median(late / early for early, late in memory), 3),
    }


def _measure_calls(count: int, folder: Path) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with http_server("ours", folder) as port:
            arguments = ("sequence", str(port), str(count))
            module = "bench.steps.http_calls"
            return found_by(module, *arguments, core=OTHER, timeout_s=_TIMEOUT_S)

    return measure


def _measure_memory(count: int, folder: Path) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            arguments = (
                "ours",
                "memory",
                "--count",
                str(count),
                "--folder",
                own,
                "--url",
                "sqlite",
            )
            module = "bench.steps.contender"
            return found_by(module, *arguments, core=MEASURED, timeout_s=_TIMEOUT_S)

    return measure
