"""How streams over HTTP end: those who leave, do not read, or lose log, hub or server."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import msgspec
import pytest

from tests.support.stream_log import MemoryLog, change
from tests.support.streams_server import (
    WAIT_S,
    Served,
    events,
    followed,
    served,
)
from tests.support.websocket import WebSocketClient
from tidegate.errors import StoreAway
from tidegate.http.server import make_app
from tidegate.http.streams import stream_routes
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio


async def test_streams_end_when_the_log_is_away() -> None:
    """A client whose frames cannot be read is let go, to come again with its number."""
    async with served() as server:
        server.log.error = StoreAway("gone")
        async with events(server) as stream, followed(server) as socket:
            left = [event async for event in stream]
            code = await socket.close_code()

    assert left == [{"retry": "2000"}]
    assert code == 1013


async def test_websocket_may_be_gone_when_the_log_is_away() -> None:
    """To close a connection that its client has just left is no error of ours."""
    log = MemoryLog()
    log.error = StoreAway("no database")
    gone = anyio.Event()
    sent: list[str] = []

    async def allow(*_asked: object) -> int:
        return 200

    async def receive() -> dict[str, Any]:
        if not sent:
            return {"type": "websocket.connect"}
        await gone.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] != "websocket.accept":
            gone.set()
            raise OSError("the client has left")

    app = make_app(stream_routes(Hub(log), msgspec.json.decode, allow))
    path = "/api/v1/streams/game/g"
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
    with anyio.fail_after(WAIT_S):
        await app(scope, receive, send)

    assert sent == ["websocket.accept", "websocket.close"]


async def test_streams_forget_who_leaves() -> None:
    """A client that goes away, politely or not, is no client any more."""
    async with served() as server:
        for _ in range(2):
            async with followed(server) as socket:
                await socket.text()
                await socket.cut()
            async with events(server) as stream:
                await anext(stream)
        with anyio.fail_after(WAIT_S):
            while server.hub.followed:  # noqa: ASYNC110 - the server tells nobody
                await anyio.sleep(0.02)

    assert server.hub.followed == 0


async def test_head_of_a_stream_ends() -> None:
    """HEAD tells the headers and does not follow."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        answer = await client.head(f"{server.url}/game/g", headers={"Authorization": "secret"})

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_streams_end_with_their_hub() -> None:
    """A server that is about to end lets its clients go, and takes no new ones."""
    async with served() as server:
        async with events(server) as stream, followed(server) as socket:
            await anext(stream)
            await anext(stream)
            await socket.text()
            server.hub.close()
            left = [event async for event in stream if "event" in event]
            code = await socket.close_code()
        async with events(server) as late:
            nothing = [event async for event in late]

    assert left == []
    assert nothing == [{"retry": "2000"}]
    assert code == 1012


async def test_server_ends_while_clients_follow() -> None:
    """A server that stops does not wait for clients that never leave."""
    with anyio.fail_after(WAIT_S):
        async with served() as server:
            streaming, socketed = events(server), followed(server)
            stream, socket = await streaming.__aenter__(), await socketed.__aenter__()
            await anext(stream)
            await socket.text()
    await socketed.__aexit__(None, None, None)
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize("how", ["websocket", "events"])
async def test_slow_reader_costs_no_memory(how: str) -> None:
    """While 100,000 changes of 1 KiB pass a reader that does not read, nothing piles up."""
    data = b'"%s"' % (b"x" * 1024)
    async with served(keep=100) as server, _slow(server, how) as slow:
        await slow.read(1)
        server.write(*(change("k", data) for _ in range(1_000)))
        await anyio.sleep(0.1)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(1_000):
                server.write(*(change("k", data) for _ in range(99)))
                await anyio.lowlevel.checkpoint()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        last = await slow.read_until(server.log.head())

    assert after - before < 2_000_000
    assert last["type"] == "snapshot"


class _Slow:
    """A client that reads when it is told to; its socket takes little."""

    def __init__(self, socket: WebSocketClient | None, stream: anyio.abc.ByteStream | None) -> None:
        self._socket = socket
        self._stream = stream
        self._rest = b""

    async def read(self, count: int) -> dict[str, Any]:
        """Read some frames, return the last."""
        frame: dict[str, Any] = {}
        for _ in range(count):
            frame = json.loads(await self._next())
        return frame

    async def read_until(self, seq: int) -> dict[str, Any]:
        """Read until a number has come."""
        frame: dict[str, Any] = {"seq": -1}
        while frame["seq"] < seq:
            frame = await self.read(1)
        return frame

    async def _next(self) -> str:
        if self._socket is not None:
            return await self._socket.text()
        assert self._stream is not None
        with anyio.fail_after(WAIT_S):
            while True:
                line, found, rest = self._rest.partition(b"\n")
                if not found:
                    self._rest += await self._stream.receive(4096)
                    continue
                self._rest = rest
                if line.startswith(b"data: "):
                    return line[6:].decode()


@asynccontextmanager
async def _slow(server: Served, how: str) -> AsyncIterator[_Slow]:
    if how == "websocket":
        async with followed(server) as socket:
            yield _Slow(socket, None)
        return
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        head = "GET /api/v1/streams/game/g HTTP/1.1\r\nHost: here\r\nAuthorization: secret\r\n\r\n"
        await stream.send(head.encode())
        yield _Slow(None, stream)
