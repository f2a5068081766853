"""`req.ws`: a WebSocket as a handler sees it.

What an invocation sends waits in its outbox and leaves once, after its commit; a run that is
repeated on a conflict starts with an empty one. Sent from outside of any invocation, as from a
subscription's callback, a frame leaves at once.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from anyio.lowlevel import checkpoint

from tidegate.engine.exact_json import encode
from tidegate.errors import NonRetriable
from tidegate.http.course import Course
from tidegate.http.line import Frame, Line, size_of
from tidegate.http.running import current_slot

_EVENTS = ("message", "close")
_MOST_REASON_BYTES = 123
_UNSENDABLE_CODES = (1004, 1005, 1006, 1015)

Callback = Callable[..., Any]


class Outbox:
    """What one run of an invocation sends, to its own connection and to others."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._frames: dict[Line, list[Frame]] = {}
        self._closes: dict[Line, tuple[int, str]] = {}
        self._bytes = 0

    def add(self, line: Line, frame: Frame) -> None:
        """Keep a frame.

        Raises:
            NonRetriable: the invocation sends too much (more than 16 MiB).
        """
        size = self._bytes + size_of(frame)
        # One message alone is as large as `_frame` allows, and has its cost beside.
        if self._bytes and size > self._most_bytes:
            raise NonRetriable(
                f"one invocation sends more than {self._most_bytes} bytes; send less at a time"
            )
        self._bytes = size
        self._frames.setdefault(line, []).append(frame)

    def close(self, line: Line, code: int, reason: str) -> None:
        """Close a connection after its frames."""
        self._closes.setdefault(line, (code, reason))

    def leave(self) -> None:
        """Hand everything over; call it once, after the commit."""
        for line, frames in self._frames.items():
            line.offer(frames)
        for line, (code, reason) in self._closes.items():
            line.close(code, reason)


class WebSocket:
    """See `CONTRACT`: `send`, `on`, `close` and `async for`."""

    def __init__(self, line: Line, most_bytes: int) -> None:
        self.callbacks: dict[str, Callback] = {}
        self._line = line
        self._most_bytes = most_bytes
        self._course: Course | None = None

    async def send(self, data: Any) -> None:
        """Send a text, bytes, or anything else as JSON.

        Raises:
            NonRetriable: a message beyond 16 MiB, or more of them than an invocation may send.
        """
        frame = _frame(data, self._most_bytes)
        slot = current_slot()
        if slot is not None and slot.outbox is not None:
            slot.outbox.add(self._line, frame)
        else:
            self._line.offer([frame])
            await checkpoint()
            await self._line.room()

    def on(self, event: str, fn: Callback) -> None:
        """Call `fn(message)` for each message, or `fn(code, reason)` when the connection ends.

        Each call is an invocation of its own. The function may be plain and take fewer arguments.
        """
        if event not in _EVENTS:
            raise ValueError(f"unknown event '{event}'; known are: {', '.join(_EVENTS)}")
        self.callbacks[event] = fn

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, after what was sent before."""
        if not 1000 <= code < 5000 or code in _UNSENDABLE_CODES:  # noqa: PLR2004 - RFC 6455 7.4
            raise ValueError(f"{code} cannot be sent as the code of a close")
        if len(reason.encode()) > _MOST_REASON_BYTES:
            raise ValueError(f"the reason of a close has at most {_MOST_REASON_BYTES} bytes")
        slot = current_slot()
        if slot is not None and slot.outbox is not None:
            slot.outbox.close(self._line, code, reason)
        else:
            self._line.close(code, reason)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the messages until the connection ends."""
        return self

    async def __anext__(self) -> str | bytes:
        """Commit what was done since the last message, then wait for the next one."""
        if self._course is None:
            raise RuntimeError("iterate over req.ws in the handler, not in a callback")
        message = await self._course.next_message()
        if message is None:
            raise StopAsyncIteration
        return message

    def start_over(self, course: Course | None) -> None:
        """Forget what an earlier run of the handler registered."""
        self.callbacks.clear()
        self._course = course


def _frame(data: Any, most_bytes: int) -> Frame:
    if isinstance(data, (bytes, bytearray, memoryview)):
        frame: Frame = bytes(data)
    else:
        frame = data if isinstance(data, str) else encode(data).decode()
    if len(frame) > most_bytes:
        raise NonRetriable(f"a message is larger than {most_bytes} bytes")
    return frame
