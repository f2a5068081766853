"""Streams over a real server: server-sent events, WebSocket, who may, who reads slowly."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import msgspec
import pytest

from tests.support.ports import unused_port
from tests.support.stream_log import MemoryLog, change
from tests.support.websocket import WebSocketClient, websocket
from tidegate.errors import StoreAway
from tidegate.http.server import bind, make_app, serve
from tidegate.http.streams import stream_routes
from tidegate.store.model import StreamChange
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio
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


def _ws(server: Served, path: str = "game/g", **headers: str) -> Any:
    headers = headers or {"Authorization": "secret"}
    return websocket(server.port, f"/api/v1/streams/{path}", headers)


async def test_events_are_the_snapshot_then_changes() -> None:
    """An event has number, type and JSON; the first says when to come again."""
    async with served() as server:
        server.write(change("a", b"1.50"))
        async with events(server) as stream:
            retry, first = await anext(stream), await anext(stream)
            server.write(
                change("b", '{"x": "\\n\\r\u2028\u2029\x85"}'.encode()),
                change("a", None, kind="delete"),
                change(None, b'"hi"', kind="event"),
            )
            later = [await anext(stream) for _ in range(3)]

    assert retry == {"retry": "2000"}
    assert (first["id"], first["event"]) == ("1", "snapshot")
    assert json.loads(first["data"]) == {
        "seq": 1, "type": "snapshot", "id": None, "data": {"a": 1.5},
    }  # fmt: skip
    assert [(event["id"], event["event"]) for event in later] == [
        ("2", "set"), ("3", "delete"), ("4", "event"),
    ]  # fmt: skip
    assert [json.loads(event["data"]) for event in later] == [
        {"seq": 2, "type": "set", "id": "b", "data": {"x": "\n\r\u2028\u2029\x85"}},
        {"seq": 3, "type": "delete", "id": "a", "data": None},
        {"seq": 4, "type": "event", "id": None, "data": "hi"},
    ]


async def test_events_go_on_after_a_number() -> None:
    """`Last-Event-ID` and `?after=` resume; the header is newer than the query."""
    async with served() as server:
        server.write(*(change(f"k{n}", b"1") for n in range(5)))
        async with events(server, "game/g?after=3") as by_query:
            assert "retry" in await anext(by_query)
            after_query = await anext(by_query)
        async with events(server, "game/g?after=1", **{"Last-Event-ID": "4"}) as by_header:
            assert "retry" in await anext(by_header)
            after_header = await anext(by_header)

    assert (after_query["id"], after_query["event"]) == ("4", "set")
    assert (after_header["id"], after_header["event"]) == ("5", "set")


async def test_events_of_a_silent_group_keep_the_connection() -> None:
    """A comment now and then tells everybody between us that the connection lives."""
    async with served() as server, events(server) as stream:
        assert "retry" in await anext(stream)
        assert (await anext(stream))["event"] == "snapshot"
        comments = [await anext(stream) for _ in range(2)]
        server.write(change("a", b"1"))
        event = await anext(stream)
        while "event" not in event:
            event = await anext(stream)

    assert comments == [{"comment": "still here"}] * 2
    assert event["id"] == "1"


@pytest.mark.parametrize("path", ["a%2Fb/%2B%23%25%20%C3%A9", "game/"])
async def test_streams_have_any_name(path: str) -> None:
    """Names are percent-encoded, so a slash in one is no boundary; a group may be empty."""
    name, group = ("a/b", "+#% é") if "%" in path else ("game", "")

    async with served() as server:
        server.write(change("k", b"7", name=name, group=group))
        async with events(server, path) as stream, _ws(server, path) as socket:
            assert "retry" in await anext(stream)
            told = [json.loads((await anext(stream))["data"]), json.loads(await socket.text())]

    assert told == [{"seq": 1, "type": "snapshot", "id": None, "data": {"k": 7}}] * 2
    assert [asked[-2:] for asked in server.asked] == [(name, group)] * 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("game", 404), ("game/g/more", 404), ("%FF/g", 400), ("game/g?after=x", 400),
        ("a%00b/g", 400), ("game/%00", 400),
        ("game/g?after=-1", 400), ("game/forbidden", 403),
    ],
)  # fmt: skip
async def test_streams_refuse_with_a_reason(path: str, status: int) -> None:
    """What is wrong with a request is a problem document, for WebSockets too."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        answer = await client.get(f"{server.url}/{path}", headers={"Authorization": "secret"})
        async with _ws(server, path) as socket:
            refused = (socket.status, json.loads(socket.body)["status"])

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert refused == (status, status)


async def test_streams_are_not_for_strangers() -> None:
    """Without token or cookie it is 401; a cookie is enough, as browsers have no other way."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        answer = await client.get(f"{server.url}/game/g")
        async with _ws(server, Authorization="wrong") as socket:
            refused = socket.status
        async with _ws(server, Cookie="session=secret") as socket:
            told = json.loads(await socket.text())

    assert (answer.status_code, refused) == (401, 401)
    assert told["type"] == "snapshot"


async def test_streams_without_a_database_are_503() -> None:
    """When nobody can be looked up the client is told to come again."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        server.away = True
        answer = await client.get(f"{server.url}/game/g")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_streams_end_when_the_log_is_away() -> None:
    """A client whose frames cannot be read is let go, to come again with its number."""
    async with served() as server:
        server.log.error = StoreAway("gone")
        async with events(server) as stream, _ws(server) as socket:
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


async def test_websocket_tells_the_same_frames() -> None:
    """One JSON text for each frame; `?after=` resumes; what the client says changes nothing."""
    async with served() as server:
        server.write(change("a", b"1"))
        async with _ws(server) as socket:
            await socket.send_text("hello?")
            first = json.loads(await socket.text())
            server.write(change("b", b"2"))
            second = json.loads(await socket.text())
        async with _ws(server, "game/g?after=1") as again:
            resumed = json.loads(await again.text())

    assert first == {"seq": 1, "type": "snapshot", "id": None, "data": {"a": 1}}
    assert second == {"seq": 2, "type": "set", "id": "b", "data": 2}
    assert resumed == second


async def test_streams_forget_who_leaves() -> None:
    """A client that goes away, politely or not, is no client any more."""
    async with served() as server:
        for _ in range(2):
            async with _ws(server) as socket:
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
        async with events(server) as stream, _ws(server) as socket:
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
            streaming, socketed = events(server), _ws(server)
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
        async with _ws(server) as socket:
            yield _Slow(socket, None)
        return
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        head = "GET /api/v1/streams/game/g HTTP/1.1\r\nHost: here\r\nAuthorization: secret\r\n\r\n"
        await stream.send(head.encode())
        yield _Slow(None, stream)
