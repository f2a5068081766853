"""One HTTP contender in a process of its own: `python -m bench.steps.http_server NAME …`.

All of them are served by the same uvicorn, set up by the product's own function, on one loop.
"""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.steps.loop import BACKEND_OPTIONS
from tidegate.engine.logs import set_up_logging
from tidegate.http.server import bind, serve
from tidegate.running.serving import Process
from tidegate.running.serving import run as run_steps
from tidegate.stopping import set_on_signal

_HOST = "127.0.0.1"
_STEPS = Path(__file__).parent / "api"


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps.http_server", description=__doc__)
    parser.add_argument("name", choices=sorted(_SERVERS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    serving = _SERVERS[options.name]
    anyio.run(serving, options.folder, options.port, backend_options=BACKEND_OPTIONS)


async def _ours(folder: Path, port: int) -> None:
    """Run the steps of `api/` as `tidegate start` does, its log included."""
    set_up_logging("INFO")
    await run_steps(Process([_STEPS], folder, _HOST, port))


async def _starlette(_folder: Path, port: int) -> None:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    await _serve(Starlette(routes=[Route("/echo", echo, methods=["POST"])]), port)


async def _fastapi(_folder: Path, port: int) -> None:
    # Installed for `bench steps` alone, and not needed for our own server.
    from bench.steps.peers.fastapi_echo import app  # noqa: PLC0415

    await _serve(app, port)


async def _serve(app: Starlette, port: int) -> None:
    stop = anyio.Event()
    with bind(_HOST, port) as listener:
        async with anyio.create_task_group() as signals, serve(app, listener):
            signals.start_soon(set_on_signal, stop)
            await stop.wait()
            signals.cancel_scope.cancel()


_SERVERS: dict[str, Callable[[Path, int], Awaitable[None]]] = {
    "ours": _ours,
    "starlette": _starlette,
    "fastapi": _fastapi,
}


if __name__ == "__main__":
    main()
