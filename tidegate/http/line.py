"""What leaves over one WebSocket: a bounded queue, and the task that sends from it.

A client that takes too little is cut off with 1013 and counted; its queue never grows further.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from prometheus_client import Counter

from tidegate.http.limits import Limits

_FRAME_COST_BYTES = 64
_TRY_AGAIN_LATER = 1013

Frame = str | bytes
Send = Callable[[dict[str, Any]], Awaitable[None]]

_cut = Counter("tidegate_websockets_cut_total", "Connections that were cut off", ["step", "why"])


def size_of(frame: Frame) -> int:
    """Return what a frame costs in memory, in bytes, near enough."""
    return len(frame) + _FRAME_COST_BYTES


class Line:
    """The outgoing half of one connection."""

    def __init__(self, step: str, send: Send, *, limits: Limits) -> None:
        self._step = step
        self._send = send
        self._most_bytes = limits.waiting_bytes
        self._little_bytes = limits.waiting_bytes // 4
        self._stall_timeout_s = limits.stall_timeout_s
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._closing: tuple[int, str] | None = None
        self._work = anyio.Event()
        self._room = anyio.Event()
        self._sending = anyio.CancelScope()
        self.is_over = False

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the client, in bytes."""
        return self._bytes

    def offer(self, frames: list[Frame]) -> None:
        """Queue frames; a client for which too much (4 MiB) would wait is cut off instead.

        For one that keeps up (`room`) it may be more: all that one invocation sends.
        """
        if self.is_over or self._closing is not None:
            return
        waiting = self._bytes + sum(size_of(frame) for frame in frames)
        if self._bytes > self._little_bytes and waiting > self._most_bytes:
            self._cut("too_slow")
            return
        self._frames.extend(frames)
        self._bytes = waiting
        self._work.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection when what is queued has left; the first close counts."""
        if self._closing is None:
            self._closing = (code, reason)
            self._work.set()

    async def room(self) -> None:
        """Wait until the client has taken most of what is queued, or will take no more."""
        while self._bytes > self._little_bytes and not self.is_over:
            await self._room.wait()

    async def pump(self) -> None:
        """Send what is queued until the connection is closed."""
        while await self._send_frames():
            if self._closing is not None:
                await self._end()
                return
            self._work = anyio.Event()
            await self._work.wait()

    async def _send_frames(self) -> bool:
        """Send what is queued; False when the client is gone."""
        while self._frames:
            frame = self._frames[0]
            kind = "text" if isinstance(frame, str) else "bytes"
            with anyio.move_on_after(self._stall_timeout_s) as self._sending:
                try:
                    await self._send({"type": "websocket.send", kind: frame})
                except OSError:
                    self._forget()
                    return False
            if self._sending.cancelled_caught:
                self._cut("too_slow")
            else:
                self._taken()
        return True

    def _taken(self) -> None:
        if self._frames:
            self._bytes -= size_of(self._frames.popleft())
            self._room.set()
            self._room = anyio.Event()

    def _cut(self, why: str) -> None:
        if self._closing is None or self._closing[0] != _TRY_AGAIN_LATER:
            _cut.labels(self._step, why).inc()
        self._closing = (_TRY_AGAIN_LATER, "")
        self._frames.clear()
        self._bytes = 0
        self._sending.cancel()
        self._work.set()
        self._room.set()

    async def _end(self) -> None:
        code, reason = self._closing or (1000, "")
        self._forget()
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            return

    def _forget(self) -> None:
        self.is_over = True
        self._frames.clear()
        self._bytes = 0
        self._room.set()
