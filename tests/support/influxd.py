"""A real InfluxDB 1.x on a free port, and a database of its own for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.server_process import ServerProcess, program_path, required


class Influxd(ServerProcess):
    """A server that takes everybody; with a `certificate` (and its key, in one file) TLS only.

    Every `drops_every_s` it drops what is older than it keeps.
    """

    name: ClassVar[str] = "influxd"

    def __init__(
        self,
        program: str,
        *,
        folder: Path,
        certificate: Path | None = None,
        drops_every_s: int = 1_800,
    ) -> None:
        super().__init__(program, folder=folder)
        self._certificate = certificate
        self._drops_every_s = drops_every_s

    @property
    def http_url(self) -> str:
        """The address of its HTTP API."""
        return f"http://{self.host}:{self.port}"

    def url(self, database: str) -> str:
        """Return the address of a database in the form of `[timeseries] url`."""
        scheme = "influx" if self._certificate is None else "influxs"
        return f"{scheme}://{self.host}:{self.port}/{database}"

    def _command(self) -> list[str]:
        conf = self.folder / "influxdb.conf"
        conf.write_text(self._conf())
        return [self._program, "-config", str(conf)]

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
                f'[retention]\ncheck-interval = "{self._drops_every_s}s"',
                f'[http]\nbind-address = "{self.host}:{self.port}"\nlog-enabled = false',
                *tls,
                "",
            ]
        )


def influxd_program() -> str:
    """Return the server's path; without it the test is skipped, or fails in CI."""
    return required(program_path("influxd"), package="influxdb")


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
