"""A server of streams, and clients that follow it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from tests.support.ports import unused_port
from tests.support.stream_log import MemoryLog
from tests.support.websocket import websocket
from tidegate.errors import StoreAway
from tidegate.http.server import bind, make_app, serve
from tidegate.http.streams import stream_routes
from tidegate.store.model import StreamChange
from tidegate.streams.hub import Hub

WAIT_S = 10


KEEP_ALIVE_S = 0.2


class Served:
    """A server of streams, and what is written on them."""

    def __init__(self, *, keep: int = 1_000, patience_s: float = 1.0) -> None:
        self.log = MemoryLog(keep)
        self.hub = Hub(self.log, patience_s=patience_s)
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1/streams"
        self.asked: list[tuple[Any, ...]] = []
        self.away = False

    async def allow(
        self,
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        query: Mapping[str, str],
        name: str,
        group: str,
    ) -> int:
        """Let in who says `secret`, by token or cookie."""
        if self.away:
            raise StoreAway("no sessions")
        self.asked.append((headers.get("authorization"), cookies, query, name, group))
        known = "secret" in (headers.get("authorization"), cookies.get("session"))
        return (403 if group == "forbidden" else 200) if known else 401

    def write(self, *changes: StreamChange) -> None:
        """Commit and publish."""
        self.hub.publish(self.log.commit(*changes))

    def json(self, data: bytes) -> Any:
        """Decode a value."""
        return msgspec.json.decode(data)


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Served]:
    """Serve streams while the context is open."""
    server = Served(**options)
    routes = stream_routes(server.hub, server.json, server.allow, keep_alive_s=KEEP_ALIVE_S)
    with bind("127.0.0.1", server.port) as listener:
        async with serve(make_app(routes), listener):
            yield server


@asynccontextmanager
async def events(
    server: Served, path: str = "game/g", **headers: str
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """Follow a group by server-sent events."""
    headers = {"Authorization": "secret", **headers}
    async with (
        httpx.AsyncClient(timeout=WAIT_S) as client,
        client.stream("GET", f"{server.url}/{path}", headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield _parsed(response.aiter_lines())


async def _parsed(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    event: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name or "comment"] = value
        elif event:
            yield event
            event = {}


def followed(server: Served, path: str = "game/g", **headers: str) -> Any:
    """Follow a group by WebSocket."""
    headers = headers or {"Authorization": "secret"}
    return websocket(server.port, f"/api/v1/streams/{path}", headers)
