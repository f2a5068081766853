"""The HTTP server: the Starlette app around the routes, and uvicorn under our life cycle."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tidegate.errors import Misconfigured
from tidegate.http.problem import problem

_GRACE_S = 3


def make_app(routes: Sequence[BaseRoute]) -> Starlette:
    """Return the app; what no route answers becomes a problem document."""

    async def http_error(_request: Request, exc: Exception) -> Response:
        if not isinstance(exc, HTTPException):
            raise exc
        return problem(exc.status_code, exc.detail, headers=exc.headers)

    return Starlette(routes=list(routes), exception_handlers={HTTPException: http_error})


def bind(host: str, port: int) -> socket.socket:
    """Bind the listening socket before anything else starts.

    Raises:
        Misconfigured: the port is in use or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise Misconfigured(
            f"cannot listen on {host}:{port} ({exc.strerror}); choose another with --port"
        ) from exc
    return listener


@asynccontextmanager
async def serve(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while the context is open; on leaving, answers under way get 3 s to finish."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = _Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield
        finally:
            server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the application's."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Install no handlers."""
        return nullcontext()
