"""A real InfluxDB 1.x that says which lines it takes, and as what."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.influxd import Influxd

_HTTP_TIMEOUT_S = 20.0
_DATABASE = "oracle"


class LineOracle:
    """Takes one line at a time into an empty database."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def fields_of(self, line: bytes) -> dict[str, Any] | None:
        """Return the values that a line stores, by `measurement.field`; None when refused.

        Numbers are floats, as ours are.
        """
        self._query(f"DROP DATABASE {_DATABASE}")
        self._query(f"CREATE DATABASE {_DATABASE}")
        answer = self._http.post("/write", params={"db": _DATABASE}, content=line)
        if answer.status_code != httpx.codes.NO_CONTENT:
            return None
        found: dict[str, Any] = {}
        for series in self._query("SELECT * FROM /.*/ GROUP BY *").get("series", ()):
            for row in series["values"]:
                found |= {
                    f"{series['name']}.{column}": float(value) if type(value) is int else value
                    for column, value in zip(series["columns"][1:], row[1:], strict=True)
                }
        return found

    def _query(self, text: str) -> dict[str, Any]:
        answer = self._http.post("/query", params={"db": _DATABASE}, data={"q": text})
        result: dict[str, Any] = answer.json()["results"][0]
        return result


@contextmanager
def line_oracle(server: Influxd) -> Iterator[LineOracle]:
    """Ask a running server that nobody else uses."""
    with httpx.Client(base_url=server.http_url, timeout=_HTTP_TIMEOUT_S) as http:
        yield LineOracle(http)
