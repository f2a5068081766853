"""The course of a WebSocket step's handler: a task of its own that pauses at each `async for`.

From one pause to the next is a segment, and each segment is an invocation. The first can run
again from the handler's top; a later one cannot, for what came before it has committed.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from tidegate.contract import Context
from tidegate.engine.foreign import call_foreign
from tidegate.http.running import Slot, bound

_END_TIMEOUT_S = 5.0


class Course:
    """One run of a handler, from its top to its end."""

    def __init__(self) -> None:
        self.slot = Slot()
        self.is_over = False
        self._is_started = False
        self.returned: Any = None
        self._error: Exception | None = None
        self._scope = anyio.CancelScope()
        self._paused = anyio.Event()
        self._resumed = anyio.Event()
        self._ended = anyio.Event()
        self._message: str | bytes | None = None

    async def run(self, handle: Callable[[], Awaitable[Any]]) -> None:
        """Run the handler; what it raises is raised in the segment that waits for it."""
        self._is_started = True
        with self._scope, bound(self.slot):
            try:
                self.returned = await call_foreign(lambda _: handle(), None)
            except Exception as exc:  # noqa: BLE001 - handed over to the segment's invocation
                self._error = exc
        self.is_over = True
        self._paused.set()
        self._ended.set()

    async def segment(self, ctx: Context, outbox: Any) -> None:
        """Let the handler act in an invocation until it pauses or ends."""
        self.slot.ctx, self.slot.outbox = ctx, outbox
        await self._paused.wait()
        self.slot.ctx = self.slot.outbox = None
        if self._error is not None:
            raise self._error

    def resume(self, message: str | bytes | None) -> None:
        """Hand a paused handler the next message, None at the end; `segment` comes next."""
        self._message = message
        self._paused = anyio.Event()
        self._resumed.set()

    async def next_message(self) -> str | bytes | None:
        """Pause until the next message; None when there is none any more."""
        self._resumed = anyio.Event()
        self._paused.set()
        await self._resumed.wait()
        return self._message

    async def end(self) -> None:
        """Cancel the handler wherever it is."""
        if not self._is_started:
            return
        self._scope.cancel()
        with anyio.move_on_after(_END_TIMEOUT_S, shield=True):
            await self._ended.wait()
