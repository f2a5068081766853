"""WebSocket steps: messages, callbacks and loops as transactions, how connections end."""

import json
from pathlib import Path

import anyio
import anyio.abc
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.serving import ADMIN_TOKEN
from tests.support.steps import until
from tests.support.websocket_steps import end_of, received, state_of, websocket_steps

pytestmark = pytest.mark.anyio


async def test_ws_echoes_texts_and_bytes(tmp_path: Path) -> None:
    """A handler with a callback stays connected; texts and bytes stay what they are."""
    async with websocket_steps(tmp_path) as (url, _), connect(f"{url}/echo/a%2Fb?n=5") as client:
        opened = json.loads(await received(client))
        await client.send("text")
        text = await received(client)
        await client.send(b"\x00\xff")
        data = await received(client)

    assert opened == {"room": "a/b", "n": 5}
    assert (text, data) == ("text", b"\x00\xff")


async def test_ws_callbacks_are_transactions(tmp_path: Path) -> None:
    """Naive read-modify-writes of eight connections lose nothing; each answer leaves once."""
    seen: list[int] = []

    async def talk(url: str) -> None:
        async with connect(f"{url}/count") as client:
            for _ in range(10):
                await client.send("add")
                seen.append(json.loads(await received(client))["seen"])

    async with websocket_steps(tmp_path) as (url, engine):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(talk, url)
        total = await state_of(engine, "counts", "n")

    assert total == 80
    assert sorted(seen) == list(range(1, 81))


async def test_ws_error_in_a_callback_commits_and_sends_nothing(tmp_path: Path) -> None:
    """A callback that raises ends the connection with 1011 and no text; its frames never leave."""
    async with websocket_steps(tmp_path) as (url, engine), connect(f"{url}/count") as client:
        await client.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            await received(client)

        async def left() -> bool:
            return await state_of(engine, "counts", "left") is not None

        await until(left)
        written = await state_of(engine, "counts", "n")
        code = await state_of(engine, "counts", "left")

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "")
    assert written is None
    assert code == 1011


async def test_ws_iteration_commits_before_each_message(tmp_path: Path) -> None:
    """What a loop did is committed when it waits for the next message, and at its end."""
    async with websocket_steps(tmp_path) as (url, engine), connect(f"{url}/loop") as client:
        opened = await state_of(engine, "loop", "opened")
        await client.send("3")
        first = await received(client)
        between = await state_of(engine, "loop", "n")
        await client.send("0")
        await received(client)
        end = await end_of(client)
        ended = await state_of(engine, "loop", "ended")

    assert (opened, first, between, ended) == (True, "3", 3, True)
    assert end == (1000, "")


async def test_ws_iteration_ends_when_the_client_leaves(tmp_path: Path) -> None:
    """The loop ends by itself, and what comes after it still commits."""
    async with websocket_steps(tmp_path) as (url, engine):
        async with connect(f"{url}/loop"):
            pass

        async def ended() -> bool:
            return bool(await state_of(engine, "loop", "ended"))

        await until(ended)


async def test_ws_on_close_learns_the_code(tmp_path: Path) -> None:
    """on("close") is an invocation of its own that is given the client's code."""
    async with websocket_steps(tmp_path) as (url, engine):
        async with connect(f"{url}/count") as client:
            await client.close(4321, "bye")

        async def left() -> bool:
            return bool(await state_of(engine, "counts", "left") == 4321)

        await until(left)


async def test_ws_middleware_lets_in_and_the_handler_closes(tmp_path: Path) -> None:
    """The right token opens; a handler's own close has its code and reason, after its frames."""
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        websocket_steps(tmp_path) as (url, _),
        connect(f"{url}/private", additional_headers=token) as client,
    ):
        user = await received(client)
        end = await end_of(client)

    assert user == "admin"
    assert end == (4001, "done")


async def test_ws_clients_hear_that_the_server_goes(tmp_path: Path) -> None:
    """At a stop connections are closed with 1001, and the step's on("close") still runs."""
    async with websocket_steps(tmp_path) as (url, _):
        client = await connect(f"{url}/count")
    end = await end_of(client)

    assert end == (1001, "")


async def test_ws_message_to_others_leaves_with_the_commit(tmp_path: Path) -> None:
    """What an invocation sends to other connections leaves after its commit, or not at all."""
    async with (
        websocket_steps(tmp_path) as (url, _),
        connect(f"{url}/chat") as ada,
        connect(f"{url}/chat") as bob,
    ):
        welcomes = [await received(ada), await received(bob)]
        await ada.send("fail")
        end = await end_of(ada)
        await bob.send("hello")
        heard = await received(bob)

    assert welcomes == ["welcome", "welcome"]
    assert end[0] == 1011
    assert heard == "hello"


async def test_ws_ctx_outside_of_an_invocation_says_so(tmp_path: Path) -> None:
    """A task that outlives its invocation may send, but its writes would be nobody's."""
    async with websocket_steps(tmp_path) as (url, engine), connect(f"{url}/late") as client:
        await client.send("go")
        told = await received(client)
        written = await state_of(engine, "late", "n")

    assert "no invocation runs" in told
    assert written is None


async def test_ws_segment_that_conflicts_is_put_off(tmp_path: Path) -> None:
    """A loop cannot run again: the one who loses is told to come again, and nothing is lost."""
    async with (
        websocket_steps(tmp_path) as (url, engine),
        connect(f"{url}/clash") as ada,
        connect(f"{url}/clash") as bob,
    ):
        await ada.send("go")
        await bob.send("go")
        ends = []
        for client in (ada, bob):
            try:
                ends.append(await received(client))
            except ConnectionClosed as exc:
                ends.append(str(exc.rcvd.code if exc.rcvd else 1006))
        total = await state_of(engine, "clash", "n")

    assert sorted(ends) == ["1013", "done"]
    assert total == 1
