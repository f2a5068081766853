"""Where messages are stored: a new DuckDB file, InfluxDB or VictoriaMetrics for each run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb

from bench.timeseries_servers import DATABASE, ask, influxd, victoria

_FIELD = "temperature_c"


class Store(NamedTuple):
    """An empty store: its address for us (`[timeseries] url`), and for whom speaks HTTP to it.

    `stored` returns how many messages are in it. Of DuckDB only when nobody has it open.
    """

    url: str
    address: str
    stored: Callable[[], int]


@contextmanager
def store(kind: str, folder: Path) -> Iterator[Store]:
    """Start one: `duckdb`, `influx` or `victoria`."""
    if kind == "duckdb":
        path = folder / "telemetry.duckdb"
        yield Store("", "", lambda: _in_duckdb(path))
    elif kind == "influx":
        with influxd(folder / "influx") as url:
            ours = f"influx://{url.removeprefix('http://')}/{DATABASE}"
            yield Store(ours, f"{url}/{DATABASE}", lambda: _in_influx(url))
    else:
        with victoria(folder / "victoria") as url:
            ours = f"victoria://{url.removeprefix('http://')}"
            yield Store(ours, url, lambda: _in_victoria(url))


def _in_duckdb(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute(
            "SELECT count(*) FROM points JOIN series ON series.id = points.series_id"
            " WHERE metric = ?",
            [_FIELD],
        ).fetchall()
    return int(found[0][0])


def _in_influx(url: str) -> int:
    query = f'SELECT count("{_FIELD}") FROM telemetry'
    result = ask(url, "/query", db=DATABASE, q=query)["results"][0]
    return int(result["series"][0]["values"][0][1]) if "series" in result else 0


def _in_victoria(url: str) -> int:
    ask(url, "/internal/force_flush")
    # Ours is one name with the metric as a label; the tutorials' is what line protocol makes of it.
    names = f'{{__name__=~"telemetry|telemetry_{_FIELD}",metric=~"{_FIELD}|"}}'
    query = f"sum(count_over_time({names}[50y]))"
    result = ask(url, "/api/v1/query", query=query)["data"]["result"]
    return int(result[0]["value"][1]) if result else 0
