"""From publishing to stored, at half of the rate that ours reaches; and growth with the devices.

A fleet sends by turns: first every device its first message (first contacts), then all go on (the
steady rate). Both are rates of durable messages.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from bench.broker import mosquitto
from bench.ingest.contenders import OURS, NotStored, running
from bench.ingest.load import publisher
from bench.ingest.rates import DEVICES, ROUNDS, scaled
from bench.ingest.stores import store
from bench.report import Row
from bench.runs import Run, Series, ratio

_SECONDS = 8
_PROBE = 100_000
_FLEETS = (100, 100_000)
_STEADY_MESSAGES = 400_000
_POINTS = 3
_WINDOW = 4_000
_ESTIMATE_S = 16.0
_FLEET_ESTIMATE_S = 40.0
_KIB = 1024


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return the runs: the limit and half of it, then a small fleet and a large one."""
    found = []
    for _ in range(ROUNDS):
        found.append(Run("publish to stored", _ESTIMATE_S, _wait(folder, scale)))
        for devices in _FLEETS:
            # Of each device two at least, however quick the try: else it is a smaller fleet.
            steady = max(_FLEETS[-1], scaled(_STEADY_MESSAGES, scale))
            measure = _fleet(folder, devices, devices + steady)
            found.append(Run(f"{devices:,} devices", _FLEET_ESTIMATE_S, measure))
    return found


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    many = _FLEETS[-1]
    return [
        Row("publish to stored at half of the limit, p50", series["wait_p50_ms"], "ms"),
        Row("publish to stored at half of the limit, p99", series["wait_p99_ms"], "ms"),
        Row(f"{many:,} devices, the first message of each", series["first_contacts"], "msg/s"),
        *(
            Row(f"{devices:,} devices, all heard before", series[f"fleet_{devices}"], "msg/s")
            for devices in _FLEETS
        ),
        *(
            Row(f"{devices:,} devices, resident", series[f"fleet_{devices}_mib"], "MiB")
            for devices in _FLEETS
        ),
    ]


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part."""
    few, many = _FLEETS
    more_kib = median(series[f"fleet_{many}_mib"]) - median(series[f"fleet_{few}_mib"])
    return {
        "wait_p50_ms": round(median(series["wait_p50_ms"])),
        "wait_p99_ms": round(median(series["wait_p99_ms"])),
        "first_contacts_per_s": round(median(series["first_contacts"])),
        "fleet_rate_growth": ratio(series, f"fleet_{many}", f"fleet_{few}"),
        "fleet_rss_growth": ratio(series, f"fleet_{many}_mib", f"fleet_{few}_mib"),
        "kib_per_device": round(more_kib * _KIB / (many - few), 2),
    }


def _wait(folder: Path, scale: float) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        messages = scaled(_PROBE, scale)
        limit, _ = _run(folder, messages=messages, devices=DEVICES)
        rate = limit / 2
        messages = scaled(round(rate * _SECONDS), scale)
        _, found = _run(folder, messages=messages, devices=DEVICES, rate=rate)
        return {"wait_p50_ms": found["p50_ms"], "wait_p99_ms": found["p99_ms"]}

    return measure


def _fleet(folder: Path, devices: int, messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        rate, found = _run(folder, messages=messages, devices=devices)
        steady, steady_s = found["steady_points"] / _POINTS, found["steady_s"]
        told = {
            f"fleet_{devices}": steady / steady_s,
            f"fleet_{devices}_mib": found["resident_bytes"] / _KIB**2,
        }
        if devices == _FLEETS[-1]:
            told["first_contacts"] = (messages - steady) / (messages / rate - steady_s)
        return told

    return measure


def _run(
    folder: Path, *, messages: int, devices: int, rate: float = 0.0
) -> tuple[float, Mapping[str, float]]:
    """Store a load in DuckDB; returns messages a second and what ours says of itself."""
    load_options = {"messages": messages, "devices": devices, "window": _WINDOW, "rate": rate}
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        store("duckdb", Path(name)) as target,
        mosquitto() as port,
        publisher(port, **load_options) as load,
    ):
        with running(OURS["duckdb"], target, Path(name), port=port, messages=messages) as process:
            began_s = time.perf_counter()
            load.begin()
            process.await_stored()
            took_s = time.perf_counter() - began_s
            said = process.figures()
        found = target.stored()
        if found != messages:
            raise NotStored(f"{OURS['duckdb'].title}: {found} stored, {messages} published")
        return messages / took_s, said
