"""How many messages of three values a second: what the broker gives, what is stored durably."""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from bench.broker import mosquitto
from bench.ingest.contenders import NODE_RED, OURS, TUTORIAL, Contender, NotStored, running
from bench.ingest.load import drain_s, publisher
from bench.ingest.stores import store
from bench.report import Row
from bench.runs import Run, Series, ratio

ROUNDS = 3
DEVICES = 1_000
_WINDOW = 4_000
_MESSAGES = 100_000
# Slow ones run shorter; that is in their favour, if anything.
_FEWER = {"node_red_plain": 10_000, "tutorial_sync": 10_000}
_RATE_EXPECTED = 20_000
_SLOW_EXPECTED = 2_000
_START_S = 3.0
_CONTENDERS = (*OURS.values(), *NODE_RED.values(), *TUTORIAL.values())
_DRAIN = "mosquitto_sub"


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return all runs, by turns."""
    found = []
    for _ in range(ROUNDS):
        messages = scaled(_MESSAGES, scale)
        estimate_s = _START_S + messages / _RATE_EXPECTED
        found.append(Run("mosquitto_sub", estimate_s, _drain(messages)))
        for contender in _CONTENDERS:
            few = contender.name in _FEWER
            messages = scaled(_FEWER.get(contender.name, _MESSAGES), scale)
            estimate_s = _START_S + messages / (_SLOW_EXPECTED if few else _RATE_EXPECTED)
            found.append(Run(contender.title, estimate_s, _store(contender, folder, messages)))
    return found


def scaled(count: int, scale: float) -> int:
    """Return a count for a quick try."""
    return max(1_000, round(count * scale))


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    drained = Row("mosquitto_sub -q 1 drains", series[_DRAIN], "msg/s")
    return [drained] + [Row(one.title, series[one.name], "msg/s") for one in _CONTENDERS]


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part."""
    found = {
        "vs_mosquitto_sub_duckdb": ratio(series, "ours_duckdb", _DRAIN),
        "vs_mosquitto_sub_influx": ratio(series, "ours_influx", _DRAIN),
        "vs_mosquitto_sub_victoria": ratio(series, "ours_victoria", _DRAIN),
        "vs_node_red_plain": ratio(series, "ours_influx", "node_red_plain"),
        "vs_node_red_batched": ratio(series, "ours_influx", "node_red_batched"),
        "vs_tutorial_sync": ratio(series, "ours_victoria", "tutorial_sync"),
        "vs_tutorial_batching": ratio(series, "ours_victoria", "tutorial_batching"),
    }
    speeds = {f"{one.name}_per_s": round(median(series[one.name])) for one in OURS.values()}
    return found | speeds | {"mosquitto_sub_per_s": round(median(series[_DRAIN]))}


def _drain(messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with (
            mosquitto() as port,
            publisher(port, messages=messages, devices=DEVICES, window=_WINDOW) as load,
        ):
            return {_DRAIN: messages / drain_s(port, load, messages)}

    return measure


def _store(contender: Contender, folder: Path, messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with (
            tempfile.TemporaryDirectory(dir=folder) as name,
            store(contender.store, Path(name)) as target,
            mosquitto() as port,
            publisher(port, messages=messages, devices=DEVICES, window=_WINDOW) as load,
        ):
            with running(contender, target, Path(name), port=port, messages=messages) as process:
                began_s = time.perf_counter()
                load.begin()
                process.await_stored()
                took_s = time.perf_counter() - began_s
            found = target.stored()
            if found != messages:
                raise NotStored(f"{contender.title}: {found} stored, {messages} published")
            return {contender.name: messages / took_s}

    return measure
