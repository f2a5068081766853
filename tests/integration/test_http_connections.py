"""One HTTP connection costs little: bounds on how many there are, on their heads, on the port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.support.ports import unused_port
from tidegate.errors import Misconfigured
from tidegate.http.connections import bounded
from tidegate.http.limits import STANDARD, Limits
from tidegate.http.server import bind, make_app, serve

pytestmark = pytest.mark.anyio
ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def _served(limit: int = 100, limits: Limits = STANDARD) -> AsyncIterator[int]:
    async def hello(_request: Request) -> Response:
        return PlainTextResponse("hello")

    port = unused_port()
    app = make_app([Route("/", hello)])
    with bind("127.0.0.1", port) as listener:
        async with serve(app, listener, bounded(limit, limits)):
            yield port


async def _all_of(stream: anyio.abc.ByteReceiveStream) -> bytes:
    received = b""
    with anyio.fail_after(5):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


async def test_connection_beyond_the_limit_is_closed() -> None:
    """One idle connection too many is closed; a place that is given up is free again."""
    async with _served(limit=2) as port, await anyio.connect_tcp("127.0.0.1", port):
        async with await anyio.connect_tcp("127.0.0.1", port):
            await anyio.sleep(0.1)
            async with await anyio.connect_tcp("127.0.0.1", port) as third:
                refused = await _all_of(third)
        await anyio.sleep(0.1)
        async with await anyio.connect_tcp("127.0.0.1", port) as fourth:
            await fourth.send(ASK)
            answered = await fourth.receive()

    assert refused == b""
    assert answered.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: here\r\n"])
async def test_connection_whose_head_does_not_come_is_closed(start: bytes) -> None:
    """A head that never ends is not waited for; a kept connection may rest between requests."""
    async with (
        _served(limits=Limits(head_timeout_s=0.3)) as port,
        await anyio.connect_tcp("127.0.0.1", port) as slow,
        await anyio.connect_tcp("127.0.0.1", port) as kept,
    ):
        if start:
            await slow.send(start)
        await kept.send(ASK)
        first = await kept.receive()
        ended = await _all_of(slow)
        await anyio.sleep(0.3)
        await kept.send(ASK)
        second = await kept.receive()

    assert ended == b""
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


async def test_connection_with_a_huge_head_is_closed() -> None:
    """A head beyond 64 KiB is not collected."""
    async with _served() as port, await anyio.connect_tcp("127.0.0.1", port) as greedy:
        with anyio.move_on_after(5):
            try:
                await greedy.send(b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * STANDARD.head_bytes))
                ended = await _all_of(greedy)
            except anyio.BrokenResourceError:
                ended = b""

    assert not ended.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("port", [-1, 99_999])
async def test_bind_refuses_a_port_that_is_none(port: int) -> None:
    """A number that is no port is one clear line."""
    with pytest.raises(Misconfigured, match="choose another with --port"):
        bind("127.0.0.1", port)


async def test_bind_holds_the_port_at_once() -> None:
    """A second process cannot take the port, although nobody serves yet."""
    with bind("127.0.0.1", 0) as listener, pytest.raises(Misconfigured, match="in use"):
        bind("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize("head", ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nContent-Length: 5\r\n"])
async def test_connection_with_an_odd_handshake_is_refused(head: str) -> None:
    """A WebSocket's handshake with a body or another method is answered, not kept for ever."""
    upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with _served() as port, await anyio.connect_tcp("127.0.0.1", port) as client:
        await client.send(f"{head}{upgrade}".encode())
        answer = await _all_of(client)

    assert answer.startswith(b"HTTP/1.1 400 ")
