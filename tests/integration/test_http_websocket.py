"""WebSocket steps: the handshake, messages, callbacks as invocations, how connections end."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import psutil
import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.support.serving import ADMIN_TOKEN, served_steps
from tests.support.steps import until
from tidegate.auth.users import Users
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.http import line

pytestmark = pytest.mark.anyio

STEPS = {
    "echo_step": """
    config = {"type": "api", "name": "Echo", "path": "/echo/:room", "websocket": True,
              "queryParams": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    async def handler(req, ctx):
        req.ws.on("message", lambda message: req.ws.send(message))
        await req.ws.send({"room": req.pathParams["room"], "n": req.query_params.get("n")})
    """,
    "count_step": """
    config = {"type": "api", "name": "Count", "path": "/count", "websocket": True}
    async def handler(req, ctx):
        async def add(message):
            seen = await ctx.state.get("counts", "n") or 0
            await ctx.state.set("counts", "n", seen + 1)
            await req.ws.send({"seen": seen + 1})
            if message == "fail":
                raise ValueError("secret text")
        async def left(code):
            await ctx.state.set("counts", "left", code)
        req.ws.on("message", add)
        req.ws.on("close", left)
    """,
    "loop_step": """
    config = {"type": "api", "name": "Loop", "path": "/loop", "websocket": True}
    async def handler(req, ctx):
        await ctx.state.set("loop", "opened", True)
        async for message in req.ws:
            await ctx.state.increment("loop", "n", int(message))
            await req.ws.send(str(await ctx.state.get("loop", "n")))
            if message == "0":
                break
        await ctx.state.set("loop", "ended", True)
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "path": "/private", "websocket": True,
              "middleware": ["authMiddleware"]}
    async def handler(req, ctx):
        await req.ws.send(req.user["userId"])
        await req.ws.close(4001, "done")
    """,
    "refuse_step": """
    from tidegate import HTTPError
    config = {"type": "api", "name": "Refuse", "path": "/refuse", "websocket": True}
    async def handler(req, ctx):
        await ctx.state.set("refused", "n", 1)
        raise HTTPError(409, "not now")
    """,
    "flood_step": """
    config = {"type": "api", "name": "Flood", "path": "/flood", "websocket": True}
    async def handler(req, ctx):
        async def flood(message):
            for _ in range(1000):
                await req.ws.send("x" * 1000)
        req.ws.on("message", flood)
    """,
    "chat_step": """
    config = {"type": "api", "name": "Chat", "path": "/chat", "websocket": True}
    peers = []
    async def handler(req, ctx):
        peers.append(req.ws)
        async def tell(message):
            await ctx.state.set("chat", "last", message)
            for peer in peers:
                await peer.send(message)
            if message == "fail":
                raise ValueError("secret text")
        req.ws.on("message", tell)
        req.ws.on("close", lambda: peers.remove(req.ws))
        await req.ws.send("welcome")
    """,
    "greedy_step": """
    config = {"type": "api", "name": "Greedy", "path": "/greedy", "websocket": True}
    async def handler(req, ctx):
        async def answer(message):
            for _ in range(40):
                await req.ws.send(b"x" * 1024 * 1024)
        req.ws.on("message", answer)
    """,
    "late_step": """
    import anyio
    config = {"type": "api", "name": "Late", "path": "/late", "websocket": True}
    async def handler(req, ctx, *, tasks):
        async def later():
            await anyio.sleep(0.1)
            try:
                await ctx.state.set("late", "n", 1)
            except RuntimeError as exc:
                await req.ws.send(str(exc))
        def begin(message):
            tasks.start_soon(later)
        req.ws.on("message", begin)
    """,
    "broken_step": """
    import asyncio
    import sys
    config = {"type": "api", "name": "Broken", "path": "/broken", "websocket": True, "timeout": 3}
    async def handler(req, ctx):
        if req.query_params.get("exit"):
            sys.exit(3)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
    """,
    "slow_step": """
    import anyio
    config = {"type": "api", "name": "Slow", "path": "/slow", "websocket": True, "timeout": 0.3}
    async def handler(req, ctx):
        async for message in req.ws:
            await anyio.sleep(60)
    """,
    "clash_step": """
    import anyio
    config = {"type": "api", "name": "Clash", "path": "/clash", "websocket": True}
    async def handler(req, ctx):
        async for message in req.ws:
            n = await ctx.state.get("clash", "n") or 0
            await anyio.sleep(0.3)
            await ctx.state.set("clash", "n", n + 1)
            await req.ws.send("done")
    """,
    "plain_step": """
    config = {"type": "api", "name": "Plain", "path": "/plain"}
    async def handler(req, ctx):
        return {"ok": True}
    """,
}


@asynccontextmanager
async def _steps(tmp_path: Path) -> AsyncIterator[tuple[str, Engine]]:
    async with (
        anyio.create_task_group() as tasks,
        served_steps(tmp_path, STEPS, tasks=tasks) as (port, engine),
    ):
        yield f"ws://127.0.0.1:{port}", engine


async def _state(engine: Engine, group: str, key: str) -> Any:
    async def get(ctx: Context) -> Any:
        return await ctx.state.get(group, key)

    return await engine.transact(get)


async def _received(client: ClientConnection) -> Any:
    with anyio.fail_after(10):
        return await client.recv()


async def _end_of(client: ClientConnection) -> tuple[int, str]:
    """Read on until the connection is closed; returns code and reason."""
    with anyio.fail_after(30):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as exc:
            return (exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else (1006, "")


def _cut(step: str) -> float:
    labels = {"step": step, "why": "too_slow"}
    return REGISTRY.get_sample_value("tidegate_websockets_cut_total", labels) or 0


async def test_ws_echoes_texts_and_bytes(tmp_path: Path) -> None:
    """A handler with a callback stays connected; texts and bytes stay what they are."""
    async with _steps(tmp_path) as (url, _), connect(f"{url}/echo/a%2Fb?n=5") as client:
        opened = json.loads(await _received(client))
        await client.send("text")
        text = await _received(client)
        await client.send(b"\x00\xff")
        data = await _received(client)

    assert opened == {"room": "a/b", "n": 5}
    assert (text, data) == ("text", b"\x00\xff")


async def test_ws_callbacks_are_transactions(tmp_path: Path) -> None:
    """Naive read-modify-writes of eight connections lose nothing; each answer leaves once."""
    seen: list[int] = []

    async def talk(url: str) -> None:
        async with connect(f"{url}/count") as client:
            for _ in range(10):
                await client.send("add")
                seen.append(json.loads(await _received(client))["seen"])

    async with _steps(tmp_path) as (url, engine):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(talk, url)
        total = await _state(engine, "counts", "n")

    assert total == 80
    assert sorted(seen) == list(range(1, 81))


async def test_ws_error_in_a_callback_commits_and_sends_nothing(tmp_path: Path) -> None:
    """A callback that raises ends the connection with 1011 and no text; its frames never leave."""
    async with _steps(tmp_path) as (url, engine), connect(f"{url}/count") as client:
        await client.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            await _received(client)

        async def left() -> bool:
            return await _state(engine, "counts", "left") is not None

        await until(left)
        written = await _state(engine, "counts", "n")
        code = await _state(engine, "counts", "left")

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "")
    assert written is None
    assert code == 1011


async def test_ws_iteration_commits_before_each_message(tmp_path: Path) -> None:
    """What a loop did is committed when it waits for the next message, and at its end."""
    async with _steps(tmp_path) as (url, engine), connect(f"{url}/loop") as client:
        opened = await _state(engine, "loop", "opened")
        await client.send("3")
        first = await _received(client)
        between = await _state(engine, "loop", "n")
        await client.send("0")
        await _received(client)
        end = await _end_of(client)
        ended = await _state(engine, "loop", "ended")

    assert (opened, first, between, ended) == (True, "3", 3, True)
    assert end == (1000, "")


async def test_ws_iteration_ends_when_the_client_leaves(tmp_path: Path) -> None:
    """The loop ends by itself, and what comes after it still commits."""
    async with _steps(tmp_path) as (url, engine):
        async with connect(f"{url}/loop"):
            pass

        async def ended() -> bool:
            return bool(await _state(engine, "loop", "ended"))

        await until(ended)


async def test_ws_on_close_learns_the_code(tmp_path: Path) -> None:
    """on("close") is an invocation of its own that is given the client's code."""
    async with _steps(tmp_path) as (url, engine):
        async with connect(f"{url}/count") as client:
            await client.close(4321, "bye")

        async def left() -> bool:
            return bool(await _state(engine, "counts", "left") == 4321)

        await until(left)


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
    async with _steps(tmp_path) as (url, engine):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}{path}", additional_headers=headers)
        written = await _state(engine, "refused", "n")

    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status
    assert written is None


async def test_ws_middleware_lets_in_and_the_handler_closes(tmp_path: Path) -> None:
    """The right token opens; a handler's own close has its code and reason, after its frames."""
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        _steps(tmp_path) as (url, _),
        connect(f"{url}/private", additional_headers=token) as client,
    ):
        user = await _received(client)
        end = await _end_of(client)

    assert user == "admin"
    assert end == (4001, "done")


async def test_ws_cookie_needs_our_own_origin(tmp_path: Path) -> None:
    """A page of another site cannot open a connection with a person's cookie."""
    async with _steps(tmp_path) as (url, engine):
        users = Users(engine)
        await users.set_password("ada", "right-password", roles=("admin",))
        cookie = {"Cookie": f"tidegate_session={await users.login('ada', 'right-password')}"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{url}/private", additional_headers=cookie, origin=Origin("http://evil"))
        own = Origin(url.replace("ws:", "http:"))
        async with connect(f"{url}/private", additional_headers=cookie, origin=own) as client:
            user = await _received(client)

    assert refused.value.response.status_code == 403
    assert user == "ada"


async def test_ws_too_large_message_is_1009(tmp_path: Path) -> None:
    """A message beyond 16 MiB closes the connection; one of 16 MiB comes back."""
    mib = 1024 * 1024
    async with _steps(tmp_path) as (url, _):
        async with connect(f"{url}/echo/a", max_size=None, compression=None) as client:
            await _received(client)
            await client.send(b"x" * (16 * mib))
            back = await _received(client)
        async with connect(f"{url}/echo/a", compression=None) as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send(b"x" * (16 * mib + 1))
            end = await _end_of(client)

    assert len(back) == 16 * mib
    assert end[0] == 1009


async def test_ws_clients_hear_that_the_server_goes(tmp_path: Path) -> None:
    """At a stop connections are closed with 1001, and the step's on("close") still runs."""
    async with _steps(tmp_path) as (url, _):
        client = await connect(f"{url}/count")
    end = await _end_of(client)

    assert end == (1001, "")


async def test_ws_plain_request_is_told_to_upgrade(tmp_path: Path) -> None:
    """GET without an upgrade is 426, another method 405."""
    async with _steps(tmp_path) as (url, _), httpx.AsyncClient() as client:
        plain = await client.get(f"{url.replace('ws:', 'http:')}/count")
        other = await client.post(f"{url.replace('ws:', 'http:')}/count")

    assert (plain.status_code, plain.headers["upgrade"]) == (426, "websocket")
    assert (other.status_code, other.headers["allow"]) == (405, "GET")


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


async def test_ws_slow_reader_is_cut_off_and_memory_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that asks for 100,000 frames and reads none is closed; memory does not grow."""
    monkeypatch.setattr(line, "STALL_TIMEOUT_S", 0.5)
    before = _cut("Flood")
    async with _steps(tmp_path) as (url, _):
        async with await _raw_connection(url, "/flood") as slow:
            at_first = psutil.Process().memory_info().rss
            for _ in range(100):
                await slow.send(_masked(b"more"))
            await until(lambda: _cut("Flood") > before, timeout_s=20)
            grown = psutil.Process().memory_info().rss - at_first
            last = await _drained(slow)
        async with connect(f"{url}/echo/a") as other:
            opened = json.loads(await _received(other))

    assert _cut("Flood") == before + 1
    assert last.endswith(b"\x88\x02" + (1013).to_bytes(2, "big"))
    assert grown < 32 * 1024 * 1024
    assert opened["room"] == "a"


async def test_ws_patient_reader_gets_all_of_it(tmp_path: Path) -> None:
    """100,000 frames reach a client that reads them, in order and once."""
    async with _steps(tmp_path) as (url, _), connect(f"{url}/flood") as client:
        for _ in range(100):
            await client.send("more")
        received = 0
        with anyio.fail_after(50):
            while received < 100_000:
                assert len(await client.recv()) == 1000
                received += 1

    assert received == 100_000


async def test_ws_message_to_others_leaves_with_the_commit(tmp_path: Path) -> None:
    """What an invocation sends to other connections leaves after its commit, or not at all."""
    async with (
        _steps(tmp_path) as (url, _),
        connect(f"{url}/chat") as ada,
        connect(f"{url}/chat") as bob,
    ):
        welcomes = [await _received(ada), await _received(bob)]
        await ada.send("fail")
        end = await _end_of(ada)
        await bob.send("hello")
        heard = await _received(bob)

    assert welcomes == ["welcome", "welcome"]
    assert end[0] == 1011
    assert heard == "hello"


async def test_ws_invocation_that_sends_too_much_fails(tmp_path: Path) -> None:
    """40 MiB in one invocation is an error of the step, not memory of ours."""
    async with _steps(tmp_path) as (url, _), connect(f"{url}/greedy", max_size=None) as client:
        await client.send("go")
        end = await _end_of(client)

    assert end == (1011, "")


async def test_ws_ctx_outside_of_an_invocation_says_so(tmp_path: Path) -> None:
    """A task that outlives its invocation may send, but its writes would be nobody's."""
    async with _steps(tmp_path) as (url, engine), connect(f"{url}/late") as client:
        await client.send("go")
        told = await _received(client)
        written = await _state(engine, "late", "n")

    assert "no invocation runs" in told
    assert written is None


async def test_ws_handler_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A segment has the step's timeout; waiting for a message does not count."""
    async with _steps(tmp_path) as (url, _), connect(f"{url}/slow") as client:
        await anyio.sleep(0.5)
        await client.send("go")
        end = await _end_of(client)

    assert end == (1011, "")


@pytest.mark.parametrize("query", ["", "?exit=1"])
async def test_ws_handler_that_breaks_off_is_a_500(tmp_path: Path, query: str) -> None:
    """A handler that awaits what was cancelled, or means to exit, ends its handshake alone."""
    async with _steps(tmp_path) as (url, _):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{url}/broken{query}"):
                pass

    assert refused.value.response.status_code == 500
    assert refused.value.response.headers["content-type"] == "application/problem+json"


async def test_ws_segment_that_conflicts_is_put_off(tmp_path: Path) -> None:
    """A loop cannot run again: the one who loses is told to come again, and nothing is lost."""
    async with (
        _steps(tmp_path) as (url, engine),
        connect(f"{url}/clash") as ada,
        connect(f"{url}/clash") as bob,
    ):
        await ada.send("go")
        await bob.send("go")
        ends = []
        for client in (ada, bob):
            try:
                ends.append(await _received(client))
            except ConnectionClosed as exc:
                ends.append(str(exc.rcvd.code if exc.rcvd else 1006))
        total = await _state(engine, "clash", "n")

    assert sorted(ends) == ["1013", "done"]
    assert total == 1
