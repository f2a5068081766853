"""Hostile HTTP over raw sockets: each gets a clear answer or an end, and nobody else is hurt."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tests.support.serving import served_steps
from tidegate.http.limits import STANDARD, Limits

pytestmark = pytest.mark.anyio

STEPS = {
    "echo_step": """
    config = {"type": "api", "name": "Echo", "method": "POST", "path": "/echo"}
    async def handler(req, ctx):
        return {"status": 200, "body": {"got": req.body, "bytes": len(req.raw_body)}}
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "method": "POST", "path": "/private",
              "middleware": ["adminMiddleware"]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
    "get_step": """
    config = {"type": "api", "name": "Get", "path": "/get"}
    async def handler(req, ctx):
        return {"seen": req.headers.get("x-seen", "")}
    """,
}
_JSON = "Content-Type: application/json\r\n"
_POST = f"POST /echo HTTP/1.1\r\nHost: a\r\n{_JSON}"


@asynccontextmanager
async def _connected(
    tmp_path: Path, limits: Limits = STANDARD
) -> AsyncIterator[anyio.abc.SocketStream]:
    async with (
        served_steps(tmp_path, STEPS, limits=limits) as (port, _),
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        yield stream


async def _to_the_end(stream: anyio.abc.SocketStream) -> bytes:
    received = b""
    with anyio.fail_after(10):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


def _problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    found: dict[str, object] = json.loads(body)
    return found


@pytest.mark.parametrize(
    "head",
    [
        "GET /get HTTP/1.1\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        _POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        _POST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n1",
        _POST + "Content-Length: -1\r\n\r\n",
        _POST + "Transfer-Encoding: chunked\r\n\r\nz\r\n",
        "GET /get HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: a\r\nX : z\r\n\r\n",
        "BREW /get HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
    ],
)
async def test_ambiguous_requests_are_400_and_close(tmp_path: Path, head: str) -> None:
    """What means nothing, or two things at once, is refused, and its connection ends."""
    async with _connected(tmp_path) as stream:
        await stream.send(head.encode())
        answer = await _to_the_end(stream)

    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
    assert _problem(answer)["status"] == 400


async def test_refused_head_does_not_disturb_the_answer_before_it(tmp_path: Path) -> None:
    """On one connection the good request is answered, the bad one after it is refused."""
    async with _connected(tmp_path) as stream:
        good = b"GET /get HTTP/1.1\r\nHost: a\r\nX-Seen: yes\r\n\r\n"
        await stream.send(good + b"GET /get HTTP/1.1\r\n\r\n" + good)
        answer = await _to_the_end(stream)

    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.index(b'{"seen":"yes"}') < answer.index(b"HTTP/1.1 400")


@pytest.mark.parametrize("ends", [True, False])
async def test_large_head_is_431(tmp_path: Path, *, ends: bool) -> None:
    """A head beyond 64 KiB is told so, whether it comes to an end or not; one of 60 KiB is fine."""
    start = b"GET /get HTTP/1.1\r\nHost: a\r\nX-Seen: "
    async with served_steps(tmp_path, STEPS) as (port, _):
        async with await anyio.connect_tcp("127.0.0.1", port) as fine:
            await fine.send(start + b"x" * 60_000 + b"\r\nConnection: close\r\n\r\n")
            accepted = await _to_the_end(fine)
        async with await anyio.connect_tcp("127.0.0.1", port) as greedy:
            await greedy.send(start + b"x" * STANDARD.head_bytes + (b"\r\n\r\n" if ends else b""))
            refused = await _to_the_end(greedy)

    assert accepted.startswith(b"HTTP/1.1 200")
    assert refused.startswith(b"HTTP/1.1 431")
    assert _problem(refused)["status"] == 431


async def test_body_beyond_the_limit_is_413(tmp_path: Path) -> None:
    """A length beyond 64 MiB is refused before a byte of it came, chunks when they are too many."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    async with served_steps(tmp_path, STEPS) as (port, _):
        async with await anyio.connect_tcp("127.0.0.1", port) as told:
            size = STANDARD.body_bytes + 1
            head = f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            await told.send(head.encode())
            refused = await told.receive()
        async with await anyio.connect_tcp("127.0.0.1", port) as chunked:
            await chunked.send(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(STANDARD.body_bytes // 0x100000 + 1):
                await chunked.send(chunk)
            refused_late = await chunked.receive()

    assert refused.startswith(b"HTTP/1.1 413")
    assert refused_late.startswith(b"HTTP/1.1 413")


async def test_body_of_64_mib_is_taken(tmp_path: Path) -> None:
    """Exactly the limit is allowed."""
    async with _connected(tmp_path) as stream:
        size = STANDARD.body_bytes
        head = f"POST /echo HTTP/1.1\r\nHost: a\r\n{_JSON}Content-Length: {size}\r\n\r\n"
        await stream.send(head.encode() + b"[" + b" " * (size - 2) + b"]")
        answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 200")


async def test_body_that_does_not_come_is_408(tmp_path: Path) -> None:
    """Half a body is not waited for for ever."""
    async with _connected(tmp_path, Limits(body_timeout_s=0.3)) as stream:
        await stream.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        with anyio.fail_after(10):
            answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 408")


async def test_rest_of_an_unwanted_body_is_not_waited_for(tmp_path: Path) -> None:
    """Who is refused and goes on dripping his body keeps no connection."""
    async with _connected(tmp_path, Limits(linger_s=0.3)) as stream:
        await stream.send(b"POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        refused = await stream.receive()
        ended = await _drip_until_ended(stream)

    assert ended
    assert refused.startswith(b"HTTP/1.1 401")


async def _drip_until_ended(stream: anyio.abc.SocketStream) -> bool:
    """Send a byte now and then until the connection is closed; False when it is not."""
    for _ in range(100):
        await anyio.sleep(0.05)
        try:
            await stream.send(b"x")
        except anyio.BrokenResourceError:
            return True
    return False


async def test_client_that_leaves_within_its_body_hurts_nobody(tmp_path: Path) -> None:
    """A connection that breaks off is forgotten; the next one is served."""
    async with served_steps(tmp_path, STEPS) as (port, _):
        async with await anyio.connect_tcp("127.0.0.1", port) as leaving:
            await leaving.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /get HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("extra", "status"),
    [("X-Long: " + "x" * 9_000 + "\r\n", 431), ("X: y\r\n" * 200, 431), ("Host: b\r\n", 400)],
)
async def test_bad_handshake_is_refused(tmp_path: Path, extra: str, status: int) -> None:
    """A WebSocket's handshake that cannot be taken is answered, not left hanging."""
    async with _connected(tmp_path) as stream:
        await stream.send(
            f"GET /get HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n{extra}".encode()
            + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        answer = await _to_the_end(stream)

    assert answer.startswith(f"HTTP/1.1 {status}".encode())
