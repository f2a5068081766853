"""`tidegate up` while the telemetry server is away: it starts, keeps what comes, and goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.influxd import Influxd
from tests.support.instances import eventually, tidegate
from tests.support.ports import unused_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def away(tmp_path: Path, own_influxd: Influxd) -> Iterator[int]:
    """Run the platform on a server that is stopped; return its HTTP port."""
    own_influxd.stop()
    port = unused_port()
    command = [sys.executable, "-c", "from tidegate.cli import main; main()", "up"]
    command += ["--no-simulator", "--no-agent", "--data", str(tmp_path / "data")]
    command += ["--port", str(port), "--mqtt-port", str(unused_port())]
    url = own_influxd.url("db").replace("//", "//me:hunter2@")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TIDEGATE__TIMESERIES__URL": url}
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            eventually(lambda: _status(port, "/ready") == 200, timeout_s=30)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=15)


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.slow
def test_start_with_the_store_away(away: int, own_influxd: Influxd, tmp_path: Path) -> None:
    """Ready without it, unhealthy until it is there, and no password in the log."""
    while_away = httpx.get(f"http://127.0.0.1:{away}/health", timeout=10)
    own_influxd.start()

    eventually(lambda: _status(away, "/health") == 200, timeout_s=20)

    assert while_away.status_code == 503
    assert "cannot be reached" in while_away.text
    assert "hunter2" not in (tmp_path / "up.log").read_text() + while_away.text


def test_start_with_a_url_that_is_none(tmp_path: Path) -> None:
    """It is told before anything starts, and without the password in it."""
    (tmp_path / "tidegate.toml").write_text('[timeseries]\nurl = "influx://me:hunter2@host"\n')

    done = tidegate("config", "check", "--config", tmp_path / "tidegate.toml")

    assert done.returncode == 2
    assert "timeseries.url names no database" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
