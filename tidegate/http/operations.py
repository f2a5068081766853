"""`/health`, `/ready`, `/metrics`: what operators and their tools ask of a running process."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Ping = Callable[[], Awaitable[None]]
_PING_TIMEOUT_S = 5.0


def operations(pings: Mapping[str, Ping], ready: Ping, metrics: CollectorRegistry) -> list[Route]:
    """Return the routes.

    `/health` runs every ping and says which part is away (503 when one is); `/ready` runs only
    what the process cannot take work without. A ping returns, or raises what is wrong.
    """

    async def health(_request: Request) -> Response:
        parts = {name: await _outcome(ping) for name, ping in pings.items()}
        healthy = all(outcome == "ok" for outcome in parts.values())
        body = {"status": "ok" if healthy else "degraded", "parts": parts}
        return JSONResponse(body, status_code=200 if healthy else 503)

    async def is_ready(_request: Request) -> Response:
        outcome = await _outcome(ready)
        status = 200 if outcome == "ok" else 503
        return JSONResponse({"status": outcome}, status_code=status)

    async def exposition(_request: Request) -> Response:
        return Response(generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [
        Route("/health", health),
        Route("/ready", is_ready),
        Route("/metrics", exposition),
    ]


async def _outcome(ping: Ping) -> str:
    """Return `ok` or what is wrong; a ping is foreign code that may fail in any way."""
    try:
        with anyio.fail_after(_PING_TIMEOUT_S):
            await ping()
    except Exception as exc:  # noqa: BLE001 - the health page must name every failure
        return f"{type(exc).__name__}: {exc}"
    return "ok"
