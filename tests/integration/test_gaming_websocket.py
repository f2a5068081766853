"""GameSession over real WebSockets: a whole game, hostile clients, a second connection."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from modules.gaming import sessions
from modules.gaming.duel.game import Game
from modules.gaming.visibility import view
from tests.support.gaming import STEPS
from tests.support.ports import unused_port
from tests.support.steps import until
from tidegate.contract import Context
from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.http.middleware import Next, OnHead
from tidegate.http.request import Request
from tidegate.http.routes import routes
from tidegate.http.server import bind, make_app, serve
from tidegate.store.sqlite.store import open_sqlite

pytestmark = pytest.mark.anyio


async def _by_name(request: Request, _ctx: Context, proceed: Next) -> Any:
    """Know a player by a header: who he is, is not what is tested here."""
    request.user = {"userId": request.headers["x-player"], "roles": []}
    return await proceed()


class Server:
    """The module's steps behind a real socket."""

    def __init__(self, port: int, engine: Engine) -> None:
        self.engine = engine
        self._place = f"127.0.0.1:{port}"

    async def find(self, player: str) -> None:
        """Look for a duel."""
        async with httpx.AsyncClient(headers={"x-player": player}, trust_env=False) as client:
            wanted = {"gameMode": "1v1", "region": "eu"}
            answer = await client.post(f"http://{self._place}/matchmaking/find", json=wanted)
        assert answer.status_code == 202

    async def nobody_plays(self) -> bool:
        """Return whether no player is active."""
        return not await self.engine.transact(lambda ctx: ctx.state.get_group("active_players"))

    async def match(self) -> str:
        """Bring ann and bob together; returns their session's id."""
        await self.find("ann")
        await self.find("bob")
        await until(lambda: self.value("player_sessions", "bob"))
        return str(await self.value("player_sessions", "ann"))

    def join(self, session_id: str, player: str) -> connect:
        """Open a player's WebSocket."""
        url = f"ws://{self._place}/game/{session_id}/ws"
        return connect(url, additional_headers={"x-player": player}, max_size=None, proxy=None)

    async def value(self, group: str, key: str) -> Any:
        """Return a value of the state."""
        return await self.engine.transact(lambda ctx: ctx.state.get(group, key))

    async def game(self, session_id: str) -> Game:
        """Return the whole game."""
        found = await self.engine.transact(lambda ctx: sessions.game_of(ctx.state, session_id))
        assert found is not None
        return found


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[Server]:
    port = unused_port()
    known = {"authMiddleware": OnHead(_by_name), "adminMiddleware": OnHead(_by_name)}
    async with (
        open_sqlite(folder / "state.db") as store,
        AsyncExitStack() as stack,
        anyio.create_task_group() as tasks,
    ):
        engine = Engine(
            discover([STEPS]).steps,
            store,
            now_ms=lambda: time.time_ns() // 1_000_000,
            rng=Random(1),
        )
        tasks.start_soon(engine.hub.run)
        # Ends the process in which inputs are judged.
        stack.push_async_callback(engine.aclose)
        tasks.start_soon(Worker(engine).run)
        with bind("127.0.0.1", port) as listener:
            async with serve(make_app(routes(engine, known)), listener):
                yield Server(port, engine)
        tasks.cancel_scope.cancel()


async def _frame(client: ClientConnection) -> dict[str, Any]:
    with anyio.fail_after(10):
        found: dict[str, Any] = json.loads(await client.recv())
    return found


async def _update(client: ClientConnection, version: int) -> dict[str, Any]:
    """Read on to the view of a version."""
    while True:
        frame = await _frame(client)
        if frame["type"] == "gameUpdate" and frame["data"]["version"] >= version:
            seen: dict[str, Any] = frame["data"]
            return seen


async def _end(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Read on to the end; returns the frames and the code of the close."""
    frames = []
    while True:
        try:
            frames.append(await _frame(client))
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 0


async def test_gaming_websocket_whole_game(tmp_path: Path) -> None:
    """Two clients play turn by turn; each gets his own views, and the end."""
    async with _serving(tmp_path) as server:
        session_id = await server.match()
        async with server.join(session_id, "ann") as ann, server.join(session_id, "bob") as bob:
            clients = {"ann": ann, "bob": bob}
            for version in range(1, 7):
                game = await server.game(session_id)
                await clients[game.tanks[game.turn].player].send('{"type": "wait"}')
                for name, client in clients.items():
                    seen = await _update(client, version)
                    assert seen == view(await server.game(session_id), name)
            await ann.send('{"type": "surrender"}')
            lost, code = await _end(ann)
            won, _ = await _end(bob)

        # The server hears of the closed connections a little later.
        await until(server.nobody_plays)
        session = await server.value("game_sessions", session_id)

    assert code == 1000
    assert (lost[-1]["result"], won[-1]["result"]) == ("lost", "won")
    assert session["status"] == "completed"


async def test_gaming_websocket_takes_hostile_messages(tmp_path: Path) -> None:
    """10 MB, deep nesting, no text: each gets an error, and the game goes on."""
    hostile: list[str | bytes] = ["x" * 10_000_000, "[" * 100_000, b"\xff\xfe", "{}"]
    async with _serving(tmp_path) as server:
        session_id = await server.match()
        async with server.join(session_id, "ann") as ann, server.join(session_id, "bob") as bob:
            await _update(ann, 0)
            await _update(bob, 0)
            codes = []
            for message in hostile:
                await ann.send(message)
                codes.append((await _frame(ann))["code"])
            game = await server.game(session_id)
            first = {"ann": ann, "bob": bob}[game.tanks[game.turn].player]
            await first.send('{"type": "wait"}')
            seen = await _update(bob, 1)

    assert codes == ["invalid"] * 4
    assert seen["version"] == 1


async def test_gaming_websocket_takeover_and_strangers(tmp_path: Path) -> None:
    """A second connection puts the first off; a stranger is closed with 1008, without a frame."""
    async with _serving(tmp_path) as server:
        session_id = await server.match()
        async with server.join(session_id, "ann") as first:
            await _update(first, 0)
            async with server.join(session_id, "ann") as second:
                seen = await _update(second, 0)
                frames, code = await _end(first)
                await until(lambda: _is_active(server, session_id))
        async with server.join(session_id, "eve") as eve:
            nothing, refused = await _end(eve)

    assert (frames[-1]["code"], code) == ("taken-over", 4001)
    assert seen["you"]["player"] == "ann"
    assert (nothing, refused) == ([], 1008)


async def _is_active(server: Server, session_id: str) -> bool:
    return await server.value("active_players", f"{session_id}:ann") is not None
