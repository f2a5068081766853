"""Payloads of 100 readings into InfluxDB, over posting ready-made line protocol."""

import tempfile
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.broker import mosquitto
from bench.ingest.contenders import OURS, NotStored, running
from bench.ingest.load import publisher
from bench.ingest.messages import ts_ms_of, values_of
from bench.ingest.rates import ROUNDS, scaled
from bench.ingest.stores import store
from bench.report import Row
from bench.runs import Run, Series, ratio
from bench.timeseries_servers import DATABASE

_READINGS = 100
_MESSAGES = 6_000
_DEVICES = 100
_WINDOW = 400
_LINES_A_POST = 5_000
_ESTIMATE_S = 8.0
_TIMEOUT_S = 60.0
_WRITTEN = 204


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return all runs, by turns."""
    messages = scaled(_MESSAGES, scale)
    found = []
    for _ in range(ROUNDS):
        found.append(Run("ready-made lines", _ESTIMATE_S, _post(folder, messages)))
        found.append(Run("payloads of 100 readings", _ESTIMATE_S, _ingest(folder, messages)))
    return found


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    return [
        Row("ready-made lines, InfluxDB, 1 connection", series["raw_lines"], "readings/s"),
        Row("ours, payloads of 100, InfluxDB", series["batched"], "readings/s"),
    ]


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part."""
    return {
        "batched_vs_raw": ratio(series, "batched", "raw_lines"),
        "batched_readings_per_s": round(median(series["batched"])),
    }


def _post(folder: Path, messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        total = messages * _READINGS
        bodies = [
            "\n".join(map(_line, range(start, min(start + _LINES_A_POST, total)))).encode()
            for start in range(0, total, _LINES_A_POST)
        ]
        with (
            tempfile.TemporaryDirectory(dir=folder) as name,
            store("influx", Path(name)) as target,
        ):
            place = urlsplit(target.address)
            connection = HTTPConnection(str(place.hostname), place.port, timeout=_TIMEOUT_S)
            began_s = time.perf_counter()
            for body in bodies:
                connection.request("POST", f"/write?db={DATABASE}&precision=ms", body)
                answer = connection.getresponse()
                answer.read()
                if answer.status != _WRITTEN:
                    raise NotStored(f"InfluxDB answers {answer.status}")
            took_s = time.perf_counter() - began_s
            if target.stored() != total:
                raise NotStored(f"{target.stored()} of {total} lines are in InfluxDB")
            return {"raw_lines": total / took_s}

    return measure


def _line(index: int) -> str:
    """Return one reading as a line: the same three fields that our payloads carry."""
    device, seq = index % _DEVICES, index // _DEVICES + 1
    fields = ",".join(f"{name}={value!r}" for name, value in values_of(device, seq).items())
    return f"telemetry,device=device-{device},tenant=bench {fields} {ts_ms_of(seq)}"


def _ingest(folder: Path, messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        total = messages * _READINGS
        load_options = {"messages": messages, "devices": _DEVICES, "readings": _READINGS}
        with (
            tempfile.TemporaryDirectory(dir=folder) as name,
            store("influx", Path(name)) as target,
            mosquitto() as port,
            publisher(port, window=_WINDOW, **load_options) as load,
        ):
            options = (OURS["influx"], target, Path(name))
            with running(*options, port=port, messages=total) as process:
                began_s = time.perf_counter()
                load.begin()
                process.await_stored()
                took_s = time.perf_counter() - began_s
            if target.stored() != total:
                raise NotStored(f"{target.stored()} of {total} readings are in InfluxDB")
            return {"batched": total / took_s}

    return measure
