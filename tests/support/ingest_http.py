"""Ingestion's steps over HTTP, around a real pipeline: what devices and Telegraf talk to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
from starlette.types import ASGIApp

from cloud.ingest.http.middleware import ingest_middlewares
from cloud.settings import Ingest as Settings
from cloud.settings import IngestHttp
from cloud.timeseries.port import TimeSeries
from tests.support.ingestion import Running, running
from tidegate.auth.middleware import Authenticator, named_middlewares
from tidegate.auth.users import Users
from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.http.routes import routes
from tidegate.http.server import make_app
from tidegate.store.sqlite.store import open_sqlite
from wire.ids import DeviceKey, device_id, tenant_id

ROOT = Path(__file__).parents[2]
ADMIN_TOKEN = "adm"
PUMP, FAN = (DeviceKey(tenant_id("acme"), device_id(name)) for name in ("pump", "fan"))
TOKENS = {"pump-token": PUMP._asdict(), "fan-token": FAN._asdict()}


@dataclass
class Served:
    """A running service, and the app in front of it."""

    run: Running
    app: ASGIApp

    def client(self, token: str = "", *, address: str = "10.0.0.1") -> httpx.AsyncClient:
        """Return a client at an address that bears a token."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 1))
        headers = {"Authorization": f"Token {token}"} if token else {}
        return httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers)


@asynccontextmanager
async def served_ingestion(
    folder: Path,
    store: TimeSeries,
    *,
    limits: IngestHttp | None = None,
    now_s: Callable[[], float] | None = None,
) -> AsyncIterator[Served]:
    """Run ingestion without a broker, and serve its steps in process."""
    settings = Settings(batch_wait_s=0.02, http=limits or IngestHttp())
    async with (
        running(folder, store, settings=settings) as run,
        open_sqlite(folder / "state.db") as state,
    ):
        found = discover([ROOT / "cloud" / "ingest" / "steps"])
        engine = Engine(found.steps, state, now_ms=lambda: 0, rng=Random(1))
        engine.provide(
            {
                "gateway": run.service.gateway,
                "ledger": run.ledger,
                "registry": run.registry,
                "replaying": run.service.replaying,
            }
        )
        known = Authenticator(Users(engine), admin_token=ADMIN_TOKEN, device_of_token=TOKENS.get)
        clock = {} if now_s is None else {"now_s": now_s}
        limited = ingest_middlewares(settings.http, run.service.metrics, **clock)
        app = make_app(routes(engine, {**named_middlewares(known), **limited}, check_answers=True))
        yield Served(run, app)
