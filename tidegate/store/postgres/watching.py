"""Hear of what other processes have committed, over LISTEN and NOTIFY."""

import json
from collections.abc import Callable
from contextlib import suppress

import anyio
import structlog

from tidegate.errors import StoreAway
from tidegate.store.postgres.connections import Line
from tidegate.store.postgres.faults import translating

_CHANNEL = "tidegate"
# Commits tell only those who were seen within a minute.
_SEEN_EVERY_S = 20.0
_AWAY_WAIT_S = 1.0
_TIMEOUT_S = 8.0

Wake = Callable[[str | None], None]

log = structlog.get_logger()


class Watching:
    """Who of this process wants to hear of which steps have something due."""

    def __init__(self, url: str, origin: str) -> None:
        """Listen at `url`; what `origin` has committed is left out, its own process knows it."""
        self._url = url
        self.origin = origin
        self._wakes: list[Wake] = []

    def tell(self, step: str) -> None:
        """Say what this process itself has made due, unasked: a lane's next, an answer to wait."""
        for wake in self._wakes:
            wake(step)

    async def watch(self, wake: Wake) -> None:
        """Call `wake` until cancelled; None stands for any step, after a time without ears."""
        self._wakes.append(wake)
        line = Line(self._url)
        try:
            while True:
                try:
                    await self._listen(line, wake)
                except StoreAway as exc:
                    log.warning("store.unheard", reason=str(exc))
                line.drop()
                await anyio.sleep(_AWAY_WAIT_S)
        finally:
            self._wakes.remove(wake)
            await self._leave(line)

    async def _listen(self, line: Line, wake: Wake) -> None:
        """Listen on one connection; returns when it is lost."""

        def hear(_connection: object, _process: int, _channel: str, payload: str) -> None:
            origin, _, steps = payload.partition(" ")
            if origin != self.origin:
                for step in json.loads(steps) or (None,):
                    wake(step)

        lost = anyio.Event()
        await line.fetch("watch", self.origin)
        connection = await line.connect()
        with translating():
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, hear)
        wake(None)
        while not lost.is_set():
            with anyio.move_on_after(_SEEN_EVERY_S):
                await lost.wait()
                return
            await line.fetch("watch", self.origin)

    async def _leave(self, line: Line) -> None:
        """Have nobody told on our behalf any more; a process that dies is forgotten in time."""
        with anyio.move_on_after(_TIMEOUT_S, shield=True), suppress(StoreAway):
            await line.fetch("forget_watchers", self.origin)
        line.drop()
