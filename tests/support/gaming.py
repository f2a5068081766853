"""Play the gaming module in a test: its steps on a harness, players at the ends of connections."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from modules.gaming import queue
from modules.gaming.steps import cancel_match_step, find_match_step, game_session_step
from tidegate.contract import Context
from tidegate.http.request import Request
from tidegate.store.model import Frame, StreamChange
from tidegate.testing import Harness

STEPS = Path(__file__).parents[2] / "modules" / "gaming" / "steps"


class Arena:
    """The gaming module's steps on a harness, with players' calls and connections."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.changes: list[StreamChange] = []
        harness.engine.hub.on_published(self._note)

    def _note(self, frames: Sequence[Frame]) -> None:
        self.changes.extend(frame.change for frame in frames)

    @property
    def followers(self) -> int:
        """Return how many subscriptions of streams there are."""
        of_streams = self.harness.engine.hub._audience._subscriptions.values()
        return sum(not one.is_closed for those in of_streams for one in those)

    async def call(self, fn: Callable[[Context], Awaitable[Any]]) -> Any:
        """Run a function in a transaction of its own, and tell the subscribers."""
        result = await self.harness.engine.transact(fn)
        await anyio.wait_all_tasks_blocked()
        return result

    async def find(self, player: str, mode: str = "1v1", region: str = "eu") -> dict[str, Any]:
        """Call FindMatch as a player; returns the answer."""
        req = Request(user={"userId": player}, body={"gameMode": mode, "region": region})
        answer: dict[str, Any] = await self.call(lambda ctx: find_match_step.handler(req, ctx))
        return answer

    async def cancel(self, player: str) -> dict[str, Any]:
        """Call CancelMatch as a player; returns the answer."""
        req = Request(user={"userId": player})
        answer: dict[str, Any] = await self.call(lambda ctx: cancel_match_step.handler(req, ctx))
        return answer

    async def told(self, player: str) -> Any:
        """Return what a player's stream says about his search."""
        stream = f"player:{player}"
        return await self.call(lambda ctx: ctx.streams[stream].get("matchmaking", "current"))

    async def rate(self, player: str, rating: float) -> None:
        """Give a player a rating."""
        await self.call(lambda ctx: ctx.state.set(queue.STATS, player, {"rating": rating}))

    async def group(self, name: str) -> list[Any]:
        """Return the values of a group of the state."""
        found: list[Any] = await self.call(lambda ctx: ctx.state.get_group(name))
        return found

    async def match(self, *players: str, mode: str = "1v1") -> str:
        """Bring players into one session; returns its id."""
        for player in players:
            await self.find(player, mode)
        await self.harness.drain()
        await anyio.wait_all_tasks_blocked()
        return str(self.harness.capture("match.found")[-1]["sessionId"])

    async def connect(self, session_id: str, player: str) -> "Connection":
        """Open a player's WebSocket to a session."""
        connection = Connection(self)
        await connection.open(session_id, player)
        return connection


class _Current:
    """A context that acts in the invocation that is running, as the runtime's does."""

    def __init__(self) -> None:
        self.ctx: Context | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ctx, name)


class Connection:
    """The client's end of a WebSocket, and what the runtime does in between.

    The handler and each callback are transactions; frames of a callback leave after its commit.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._current = _Current()
        self._callbacks: dict[str, Callable[..., Awaitable[None]]] = {}
        self._unsent: list[str] = []
        self._running = False
        self.texts: list[str] = []
        self.closed: tuple[int, str] | None = None

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Return what was sent, decoded."""
        return [json.loads(text) for text in self.texts]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames of one type."""
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def view(self) -> Any:
        """Return the last view that was sent."""
        return self.of_type("gameUpdate")[-1]["data"]

    async def open(self, session_id: str, player: str) -> None:
        """Connect."""
        req = Request(user={"userId": player}, path_params={"sessionId": session_id}, ws=self)
        await self._run(lambda: game_session_step.handler(req, self._context()))

    async def say(self, message: object) -> None:
        """Send a message: as it is when it is a text or bytes, else as JSON."""
        text = message if isinstance(message, (str, bytes)) else json.dumps(message)
        await self._run(lambda: self._callbacks["message"](text))

    async def drop(self) -> None:
        """Go away."""
        await self._run(self._callbacks["close"])

    def on(self, event: str, fn: Callable[..., Awaitable[None]]) -> None:
        """Register a callback; the handler's call."""
        self._callbacks[event] = fn

    async def send(self, text: str) -> None:
        """Send a frame; the handler's call."""
        (self._unsent if self._running else self.texts).append(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; the handler's call."""
        self.closed = self.closed or (code, reason)

    def _context(self) -> Any:
        return self._current

    async def _run(self, call: Callable[[], Awaitable[None]]) -> None:
        async def run(ctx: Context) -> None:
            self._unsent.clear()
            self._current.ctx = ctx
            await call()

        self._running = True
        await self._arena.harness.engine.transact(run)
        self._running = False
        self.texts.extend(self._unsent)
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def arena() -> AsyncIterator[Arena]:
    """Open the gaming module on a harness."""
    async with Harness(STEPS) as harness:
        yield Arena(harness)
