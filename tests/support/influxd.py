"""A real InfluxDB 1.x on a free port, and a database of its own for each test."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.ports import unused_port, wait_for_port

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0


class Influxd:
    """A server whose data lie in `folder`: killed and started again it has what was durable.

    With a `certificate` (and its key, in one file) it speaks TLS only.
    """

    def __init__(self, program: str, *, folder: Path, certificate: Path | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = unused_port()
        self.folder = folder
        self._certificate = certificate
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def http_url(self) -> str:
        """The address of its HTTP API."""
        return f"http://{self.host}:{self.port}"

    def url(self, database: str) -> str:
        """Return the address of a database in the form of `[timeseries] url`."""
        scheme = "influx" if self._certificate is None else "influxs"
        return f"{scheme}://{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and return when it listens; what it had stored is there again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "influxdb.conf"
        conf.write_text(self._conf())
        with (self.folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-config", str(conf)], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for_port(self.port, timeout_s=_START_TIMEOUT_S)
        except TimeoutError:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the server as an operator does (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server (SIGKILL) in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang (SIGSTOP): it takes connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            self._paused = True

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        if self._process is not None and self._paused:
            self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, whatever the test did to it."""
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        if self._paused:
            process.send_signal(signal.SIGCONT)
            self._paused = False
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _conf(self) -> str:
        folder = self.folder
        tls = []
        if self._certificate is not None:
            tls = ["https-enabled = true", f'https-certificate = "{self._certificate}"']
        return "\n".join(
            [
                "reporting-disabled = true",
                # Its port for backups; 0 is any free one.
                'bind-address = "127.0.0.1:0"',
                f'[meta]\ndir = "{folder}/meta"',
                f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"',
                "[monitor]\nstore-enabled = false",
                f'[http]\nbind-address = "{self.host}:{self.port}"\nlog-enabled = false',
                *tls,
                "",
            ]
        )


def influxd_program() -> str:
    """Return the server's path; without it the test is skipped, or fails in CI."""
    found = shutil.which("influxd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    reason = "influxdb is not installed: run scripts/system-packages"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """Run one real InfluxDB 1.x for the whole session; each test has a database of its own."""
    with Influxd(influxd_program(), folder=tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def own_influxd(tmp_path: Path) -> Iterator[Influxd]:
    """Run an InfluxDB 1.x for this test alone, which may kill, pause and start it again."""
    with Influxd(influxd_program(), folder=tmp_path / "influxd") as server:
        yield server


@pytest.fixture
def influx_url(influxd: Influxd) -> str:
    """Return the URL of a database that is not there yet."""
    return influxd.url(f"test_{secrets.token_hex(6)}")
