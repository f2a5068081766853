"""WebSocket steps within bounds: handshakes that are refused, sizes, slow readers, time."""

import contextlib
import json
from pathlib import Path

import anyio
import anyio.abc
import httpx
import psutil
import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.support.steps import until
from tests.support.websocket_steps import end_of, received, state_of, websocket_steps
from tidegate.auth.users import Users
from tidegate.http.limits import Limits

pytestmark = pytest.mark.anyio


def _cut(step: str) -> float:
    labels = {"step": step, "why": "too_slow"}
    return REGISTRY.get_sample_value("tidegate_websockets_cut_total", labels) or 0


async def _raw_connection(url: str, path: str) -> anyio.abc.SocketStream:
    """Open a connection that reads only what the test asks for."""
    port = int(url.rpartition(":")[2])
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(
        f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    answer = await stream.receive()
    assert answer.startswith(b"HTTP/1.1 101")
    return stream


async def _drained(stream: anyio.abc.SocketStream) -> bytes:
    """Read to the end; returns the last bytes."""
    last = b""
    with anyio.fail_after(10):
        try:
            while True:
                last = (last + await stream.receive())[-100:]
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return last


def _masked(text: bytes) -> bytes:
    """Return a short text frame as a client sends it, with a mask of zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/private", {}, 401),
        ("/private", {"Authorization": "Bearer wrong"}, 401),
        ("/refuse", {}, 409),
        ("/echo/a?n=x", {}, 422),
        ("/plain", {}, 404),
    ],
)
async def test_ws_handshake_is_refused_with_a_status(
    tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    """Middleware, checks and the handler itself refuse a connection as they refuse a request."""
    async with websocket_steps(tmp_path) as (url, engine):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}{path}", additional_headers=headers)
        written = await state_of(engine, "refused", "n")

    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status
    assert written is None


async def test_ws_cookie_needs_our_own_origin(tmp_path: Path) -> None:
    """A page of another site cannot open a connection with a person's cookie."""
    async with websocket_steps(tmp_path) as (url, engine):
        users = Users(engine)
        await users.set_password("ada", "right-password", roles=("admin",))
        cookie = {"Cookie": f"tidegate_session={await users.login('ada', 'right-password')}"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}/private", additional_headers=cookie, origin=Origin("http://evil"))
        own = Origin(url.replace("ws:", "http:"))
        async with connect(f"{url}/private", additional_headers=cookie, origin=own) as client:
            user = await received(client)

    assert refused.value.response.status_code == 403
    assert user == "ada"


async def test_ws_plain_request_is_told_to_upgrade(tmp_path: Path) -> None:
    """GET without an upgrade is 426, another method 405."""
    async with websocket_steps(tmp_path) as (url, _), httpx.AsyncClient() as client:
        plain = await client.get(f"{url.replace('ws:', 'http:')}/count")
        other = await client.post(f"{url.replace('ws:', 'http:')}/count")

    assert (plain.status_code, plain.headers["upgrade"]) == (426, "websocket")
    assert (other.status_code, other.headers["allow"]) == (405, "GET")


async def test_ws_too_large_message_is_1009(tmp_path: Path) -> None:
    """A message beyond 16 MiB closes the connection; one of 16 MiB comes back."""
    mib = 1024 * 1024
    async with websocket_steps(tmp_path) as (url, _):
        async with connect(f"{url}/echo/a", max_size=None, compression=None) as client:
            await received(client)
            await client.send(b"x" * (16 * mib))
            back = await received(client)
        async with connect(f"{url}/echo/a", compression=None) as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send(b"x" * (16 * mib + 1))
            end = await end_of(client)

    assert len(back) == 16 * mib
    assert end[0] == 1009


async def test_ws_slow_reader_is_cut_off_and_memory_stays(tmp_path: Path) -> None:
    """A client that asks for 100,000 frames and reads none is closed; memory does not grow."""
    before = _cut("Flood")
    async with websocket_steps(tmp_path, Limits(stall_timeout_s=0.5)) as (url, _):
        async with await _raw_connection(url, "/flood") as slow:
            at_first = psutil.Process().memory_info().rss
            for _ in range(100):
                await slow.send(_masked(b"more"))
            await until(lambda: _cut("Flood") > before, timeout_s=20)
            grown = psutil.Process().memory_info().rss - at_first
            last = await _drained(slow)
        async with connect(f"{url}/echo/a") as other:
            opened = json.loads(await received(other))

    assert _cut("Flood") == before + 1
    assert last.endswith(b"\x88\x02" + (1013).to_bytes(2, "big"))
    assert grown < 32 * 1024 * 1024
    assert opened["room"] == "a"


async def test_ws_patient_reader_gets_all_of_it(tmp_path: Path) -> None:
    """100,000 frames reach a client that reads them, in order and once."""
    async with websocket_steps(tmp_path) as (url, _), connect(f"{url}/flood") as client:
        for _ in range(100):
            await client.send("more")
        received = 0
        with anyio.fail_after(50):
            while received < 100_000:
                assert len(await client.recv()) == 1000
                received += 1

    assert received == 100_000


async def test_ws_invocation_that_sends_too_much_fails(tmp_path: Path) -> None:
    """40 MiB in one invocation is an error of the step, not memory of ours."""
    async with (
        websocket_steps(tmp_path) as (url, _),
        connect(f"{url}/greedy", max_size=None) as client,
    ):
        await client.send("go")
        end = await end_of(client)

    assert end == (1011, "")


async def test_ws_handler_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A segment has the step's timeout; waiting for a message does not count."""
    async with websocket_steps(tmp_path) as (url, _), connect(f"{url}/slow") as client:
        await anyio.sleep(0.5)
        await client.send("go")
        end = await end_of(client)

    assert end == (1011, "")


@pytest.mark.parametrize("query", ["", "?exit=1"])
async def test_ws_handler_that_breaks_off_is_a_500(tmp_path: Path, query: str) -> None:
    """A handler that awaits what was cancelled, or means to exit, ends its handshake alone."""
    async with websocket_steps(tmp_path) as (url, _):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{url}/broken{query}"):
                pass

    assert refused.value.response.status_code == 500
    assert refused.value.response.headers["content-type"] == "application/problem+json"
