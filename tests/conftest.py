"""What every test may ask for: free ports, a real broker, a clean environment, no network."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

from tests.support.influxd import influx_url, influxd, own_influxd
from tests.support.localstripe import localstripe
from tests.support.ports import unused_port
from tests.support.postgres import own_postgres, postgres, postgres_url
from tests.support.server_process import required
from tests.support.servers import Mosquitto, mosquitto_program
from tests.support.victoria import own_victoria, victoria, victoria_url

# Fixtures are found by their names in this file.
__all__ = [
    "influx_url",
    "influxd",
    "localstripe",
    "own_influxd",
    "own_postgres",
    "own_victoria",
    "postgres",
    "postgres_url",
    "victoria",
    "victoria_url",
]

_UNIT_TESTS = Path(__file__).parent / "unit"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own settings from the test."""
    for name in [name for name in os.environ if name.upper().startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_network_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Block sockets in tests/unit; an event loop's own pair of unix sockets stays allowed."""
    if not request.path.is_relative_to(_UNIT_TESTS):
        yield
        return
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    return unused_port()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Run one real Mosquitto for the whole session; it lets anybody in.

    Tests share it, so each uses topics of its own (fixture `unique_name`).
    """
    program = required(mosquitto_program(), package="mosquitto")
    with Mosquitto(program, folder=tmp_path_factory.mktemp("mosquitto")) as server:
        yield server


@pytest.fixture
def own_mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Run a Mosquitto for this test alone, which may stop, kill and start it again."""
    program = required(mosquitto_program(), package="mosquitto")
    with Mosquitto(program, folder=tmp_path / "mosquitto") as server:
        yield server


@pytest.fixture
def mosquitto_pub() -> str:
    """Return the path of Mosquitto's command line publisher."""
    return required(shutil.which("mosquitto_pub"), package="mosquitto-clients")


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> str:
    """Return a name that no other test uses: good for a tenant, a device, a client id."""
    return f"n{abs(hash(request.node.nodeid)):x}"
