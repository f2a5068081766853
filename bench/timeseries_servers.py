"""InfluxDB 1.x and VictoriaMetrics of the bench's own: free ports, temporary folders."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.broker import free_port
from bench.servers import Unprepared, program

DATABASE = "bench"
_START_S = 20.0
_STEP_S = 0.05
_TIMEOUT_S = 30.0
_INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


@contextmanager
def influxd(folder: Path) -> Iterator[str]:
    """Run an empty InfluxDB with a database `bench`; the value is its URL."""
    port, conf = free_port(), folder / "influxdb.conf"
    folder.mkdir(parents=True, exist_ok=True)
    conf.write_text(_INFLUX.format(folder=folder, port=port, rpc=free_port()), "utf-8")
    command = [program("influxd", package="influxdb"), "-config", str(conf)]
    url = f"http://127.0.0.1:{port}"
    with _server(command, folder, ready=f"{url}/ping"):
        ask(url, "/query", method="POST", q=f"CREATE DATABASE {DATABASE}")
        yield url


@contextmanager
def victoria(folder: Path) -> Iterator[str]:
    """Run an empty VictoriaMetrics that keeps points of any age; the value is its URL."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        program("victoria-metrics", package="victoria-metrics"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-search.latencyOffset=0s",
    ]
    url = f"http://127.0.0.1:{port}"
    with _server(command, folder, ready=f"{url}/health"):
        yield url


def ask(url: str, path: str, *, method: str = "GET", **query: str) -> Any:
    """Call a server; returns its JSON, None when it has no body."""
    address = f"{url}{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(address, method=method)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        body = answer.read()
    return json.loads(body) if body else None


@contextmanager
def _server(command: list[str], folder: Path, *, ready: str) -> Iterator[None]:
    log = folder / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as server,
    ):
        try:
            _await(server, ready, log)
            yield
        finally:
            server.terminate()


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except OSError:
            time.sleep(_STEP_S)  # noqa: TID251 - servers do not say when they are ready
        else:
            return
    raise Unprepared(f"{log.parent.name} does not start: {log.read_text()[-2_000:]}")
