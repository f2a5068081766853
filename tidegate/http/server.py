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
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.errors import Misconfigured
from tidegate.http.connections import BACKLOG, BoundedProtocol, bounded, connection_limit
from tidegate.http.problem import problem
from tidegate.http.routes import StepsRoute
from tidegate.http.sockets import bounded_socket

_GRACE_S = 1
_STEPS_TAKE = ("http", "websocket")
_PING_S = 20.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class App(Starlette):
    """Starlette with the steps in front: most requests never meet its router."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        super().__init__(routes=list(routes), exception_handlers={HTTPException: _http_error})
        self._steps = [route for route in routes if isinstance(route, StepsRoute)]
        for route in self._steps:
            route.come_after(routes[: list(routes).index(route)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] in _STEPS_TAKE:
            for steps in self._steps:
                found = steps.find(scope)
                if found is not None:
                    served, path_params = found
                    await served.serve(scope, receive, send, path_params)
                    return
        await super().__call__(scope, receive, send)


def make_app(routes: Sequence[BaseRoute]) -> App:
    """Return the app; what no route answers becomes a problem document."""
    return App(routes)


def _http_error(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    return problem(exc.status_code, exc.detail, headers=exc.headers)


def bind(host: str, port: int) -> socket.socket:
    """Listen before anything else starts; connections wait until the app serves them.

    Raises:
        Misconfigured: the port is in use or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Only who listens holds the port: another process could still bind it.
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as exc:
        listener.close()
        reason = getattr(exc, "strerror", None) or exc
        raise Misconfigured(
            f"cannot listen on {host}:{port} ({reason}); choose another with --port"
        ) from exc
    return listener


def address_of(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a listener bound to `host`."""
    name = _ANY.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


@asynccontextmanager
async def serve(
    app: ASGIApp, listener: socket.socket, protocol: type[BoundedProtocol] | None = None
) -> AsyncIterator[None]:
    """Serve while the context is open; on leaving, answers under way get 1 s to finish.

    Args:
        app: what answers.
        listener: from `bind`.
        protocol: from `bounded`, with its limits; without one, the standard ones.
    """
    protocol = protocol or bounded(connection_limit())
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
        backlog=BACKLOG,
        http=protocol,
        ws=bounded_socket(protocol.limits),
        ws_max_size=protocol.limits.message_bytes,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
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
