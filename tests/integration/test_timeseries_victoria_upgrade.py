"""A VictoriaMetrics that died and came back as another version: what it took is sent again."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import StoreAway
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_DAY_MS = 86_400_000


@dataclass
class Upgraded:
    """A server of some version, started at some time, and what it has taken since."""

    port: int = 0
    version: str = "v1.79.5"
    started_s: int = 1
    status: int = 204
    bodies: list[bytes] = field(default_factory=list)

    def metrics(self) -> bytes:
        """Return what it says of itself."""
        version = f'vm_app_version{{short_version="{self.version}"}} 1'
        keeps = 'flag{name="retentionPeriod", value="100y"} 1'
        return f"{version}\n{keeps}\nprocess_start_time_seconds {self.started_s}\n".encode()


@pytest.fixture
def upgraded() -> Iterator[Upgraded]:
    """Run such a server; as behind a proxy its connections outlive it."""
    state = Upgraded()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200 if self.path == "/metrics" else 404, state.metrics())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if state.status == 204:
                state.bodies.append(body)
            self._answer(state.status, b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - it is called so
            pass

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("version", ["v1.79.5", "v1.102.0"], ids=["same", "other"])
async def test_victoria_upgraded_gets_again_what_it_took(upgraded: Upgraded, version: str) -> None:
    """Whatever version comes back, and also behind a proxy that kept our connection."""
    url = Secret(f"victoria://127.0.0.1:{upgraded.port}")
    async with open_timeseries(url, data_dir=Path()) as store:
        await store.write(PointBatch([_KEY], [2 * _DAY_MS], [1.0]))
        upgraded.status = 503
        with pytest.raises(StoreAway):
            await store.write(PointBatch([_KEY], [2 * _DAY_MS + 1], [2.0]))
        taken, upgraded.bodies = upgraded.bodies, []
        upgraded.status, upgraded.version, upgraded.started_s = 204, version, 2

        await store.write(PointBatch([_KEY], [2 * _DAY_MS + 1], [2.0]))
        await store.tend(0)

    assert len(taken) == 1
    assert taken[0] in upgraded.bodies
