"""What a process answers while it waits for its store: that it lives, and is not ready."""

import socket

import anyio
import prometheus_client
from starlette.routing import Mount

from tidegate.errors import StoreAway
from tidegate.http.operations import operations
from tidegate.http.problem import problem
from tidegate.http.server import App, make_app, serve

# Most stores are there at once: nothing is served for so short a time.
_SOON_S = 0.3
_DETAIL = "the process waits for its state store"


class Awaiting:
    """Answers `/health`, `/ready` (both 503) and `/metrics`, and 503 to all else."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._is_there = anyio.Event()
        self._ended = anyio.Event()

    async def run(self) -> None:
        """Answer until the store is there."""
        try:
            with anyio.move_on_after(_SOON_S):
                await self._is_there.wait()
            if not self._is_there.is_set():
                # The server closes what it listens on; the connections that wait are shared.
                with self._listener.dup() as listener:
                    async with serve(_app(), listener):
                        await self._is_there.wait()
        finally:
            self._ended.set()

    async def end(self) -> None:
        """Answer no more: the store is there."""
        self._is_there.set()
        await self._ended.wait()


def _app() -> App:
    shown = operations({"state": _is_away}, _is_away, prometheus_client.REGISTRY)
    refused = problem(503, _DETAIL, headers={"retry-after": "1"})
    return make_app([*shown, Mount("/", refused)])


async def _is_away() -> None:
    raise StoreAway("state store: not there yet")
