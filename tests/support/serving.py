"""Api steps on a real socket, in this process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.ports import unused_port
from tests.support.steps import running_engine
from tidegate.auth.middleware import Authenticator, named_middlewares
from tidegate.auth.users import Users
from tidegate.engine.engine import Engine
from tidegate.http.connections import bounded
from tidegate.http.limits import STANDARD, Limits
from tidegate.http.routes import routes
from tidegate.http.server import bind, make_app, serve

ADMIN_TOKEN = "adm"


@asynccontextmanager
async def served_steps(
    folder: Path,
    files: Mapping[str, str],
    *,
    check_answers: bool = False,
    limits: Limits = STANDARD,
    **resources: object,
) -> AsyncIterator[tuple[int, Engine]]:
    """Serve the steps; gives the port and the engine behind it."""
    port = unused_port()
    async with running_engine(folder, files, url=None, **resources) as engine:
        known = Authenticator(
            Users(engine), admin_token=ADMIN_TOKEN, device_of_token=lambda _token: None
        )
        named = named_middlewares(known)
        app = make_app(routes(engine, named, check_answers=check_answers, limits=limits))
        with bind("127.0.0.1", port) as listener:
            async with serve(app, listener, bounded(1_000, limits)):
                yield port, engine
