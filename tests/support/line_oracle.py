"""A real InfluxDB 1.x that says which lines it takes, and as what."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import unused_port, wait_for_port

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_HTTP_TIMEOUT_S = 20.0
_DATABASE = "oracle"


def influxd_program() -> str | None:
    """Return the path of the server, or None when it is not installed."""
    return shutil.which("influxd")


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
def line_oracle(program: str, folder: Path) -> Iterator[LineOracle]:
    """Run a server that keeps what it has in `folder`, until the context is left."""
    port = unused_port()
    conf = folder / "influxdb.conf"
    conf.write_text(_conf(folder, port))
    with (folder / "influxd.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "run", "-config", str(conf)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, timeout_s=_START_TIMEOUT_S)
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, timeout=_HTTP_TIMEOUT_S) as http:
            yield LineOracle(http)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _conf(folder: Path, port: int) -> str:
    return "\n".join(
        [
            "reporting-disabled = true",
            f'bind-address = "127.0.0.1:{unused_port()}"',
            f'[meta]\ndir = "{folder}/meta"',
            f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"',
            f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false',
            "[monitor]\nstore-enabled = false",
            "",
        ]
    )
