"""What one HTTP connection may cost: how many there are, how long and how large a head may be.

uvicorn itself bounds none of it: an idle connection would be kept for ever, and as many of them
as there are file descriptors would shut everybody out.
"""

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tidegate.http.limits import STANDARD, Limits
from tidegate.http.problem import refusal
from tidegate.http.source import BODY_IS_HERE, Receive, Scope, Send

_MOST_FILES = 65_536
# The parser of a WebSocket's handshake takes no longer lines, and no more of them.
_MAX_LINE = 8_000
_MOST_LINES = 120
_CLOSE = (b"connection", b"close")
# Accepted but not yet looked at; the operating system keeps as many more waiting.
BACKLOG = 128

_refused = Counter("tidegate_http_connections_refused_total", "Connections closed, by why", ["why"])


def connection_limit() -> int:
    """Raise this process's limit of open files, and return half of it: the rest is ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (soft - BACKLOG) // 2)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds, which `bounded` sets.

    A timer costs as much as a small handler, so one runs only while something is overdue: a
    head or a body that did not come at once.
    """

    limit = 1_000
    limits = STANDARD

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._refused = False
        self._most_head_bytes = self.limits.head_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            self._close("too_many")
            return
        self._wait(self.limits.head_timeout_s, "head_too_slow")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._wait_no_more()
        self._watch_no_more()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold the app back: what is sent waits for the client, which has to take some of it."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Let the app go on."""
        super().resume_writing()
        self._watch_no_more()

    def data_received(self, data: bytes) -> None:
        """Parse what came; count the bytes of a head that is not complete."""
        if self._head_bytes <= self._most_head_bytes:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head:
            if self._head_bytes > self._most_head_bytes:
                self._refuse_now(431, "head_too_large")
            elif self._timer is None:
                self._wait(self.limits.head_timeout_s, "head_too_slow")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Hand a request to the app, or to one that refuses what no app should see."""
        self._in_head, self._in_body = False, True
        self._wait_no_more()
        if self._is_odd_handshake():
            self._refuse_now(400, "bad_handshake", "a WebSocket begins with a GET without a body")
            return
        status = self._fault()
        self._refused = status is not None
        app = self.app
        if status is not None:
            self.app = _refusing(status, self._detail_of(status))
        super().on_headers_complete()
        self.app = app
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        """End a request; what follows in this piece belongs to the next one."""
        self._in_body = False
        self._wait_no_more()
        self.scope[BODY_IS_HERE] = True  # type: ignore[literal-required]  # our own key
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody wanted."""
        super().on_response_complete()
        if self._in_body:
            self._linger()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket's protocol."""
        if self.transport.is_closing():
            return
        longest = max(len(self.url), *(len(value) for _, value in self.headers))
        too_much = longest > _MAX_LINE or len(self.headers) > _MOST_LINES
        if self._refused or too_much:
            self._refuse_now(431 if too_much else 400, "bad_handshake")
            return
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or means two things at once."""
        self._refuse_now(400, "no_http", msg)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that rests for too long."""
        super().timeout_keep_alive_handler()
        end_when_stuck(self.transport, self.loop, self.limits.stuck_s)

    def _fault(self) -> int | None:
        """Return the status with which a head is refused: its size, its `Host`."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            return 400
        if self._head_bytes <= self._most_head_bytes:
            return None
        sizes = (len(name) + len(value) + 4 for name, value in self.headers)
        return 431 if len(self.url) + sum(sizes) > self._most_head_bytes else None

    def _detail_of(self, status: int) -> str:
        """Return what to tell the client of a head that is refused."""
        if status == 431:  # noqa: PLR2004 - too large
            return f"the head of a request may have {self._most_head_bytes} bytes"
        return "a request has exactly one Host"

    def _is_odd_handshake(self) -> bool:
        """Tell whether a handshake has a body or another method: uvicorn never answers those."""
        if not self._should_upgrade():
            return False
        names = {name for name, _ in self.headers}
        has_body = not names.isdisjoint((b"content-length", b"transfer-encoding"))
        return has_body or self.parser.get_method() != b"GET"

    def _linger(self) -> None:
        """Wait a little for the rest of a body whose request is answered already."""
        if self._timer is None and self.cycle is not None and self.cycle.response_complete:
            self._wait(self.limits.linger_s, "body_too_slow")

    def _wait(self, timeout_s: float, why: str) -> None:
        self._timer = self.loop.call_later(timeout_s, self._close, why)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, left_before: int) -> None:
        """Look again in a while; end a connection whose client has taken nothing until then."""

        def look() -> None:
            left = self.transport.get_write_buffer_size()
            if left < left_before:
                self._watch(left)
                return
            _refused.labels("stuck").inc()
            self.transport.abort()

        self._stalled = self.loop.call_later(self.limits.takes_nothing_s, look)

    def _watch_no_more(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse_now(self, status: int, why: str, detail: str = "") -> None:
        """Answer past the app and close; an answer under way is not disturbed."""
        if self._may_answer() and not self.transport.is_closing():
            answer = refusal(status, detail or self._detail_of(status))
            lines = [b"%s: %s\r\n" % pair for pair in (*answer.headers, _CLOSE)]
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", answer.body]))
        self._close(why)

    def _may_answer(self) -> bool:
        """Tell whether no answer is due before ours; the app of a broken request is sent home."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        if self.cycle.response_started or self.pipeline:
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return True

    def _close(self, why: str) -> None:
        self._wait_no_more()
        self._in_head = False
        _refused.labels(why).inc()
        self.transport.close()
        end_when_stuck(self.transport, self.loop, self.limits.stuck_s)


def end_when_stuck(
    transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stuck_s: float
) -> None:
    """End a closing connection whose peer takes none of what is left for `stuck_s`."""

    def look(left_before: int) -> None:
        left = transport.get_write_buffer_size()
        if left >= left_before:
            transport.abort()
        elif left:
            loop.call_later(stuck_s, look, left)

    if left := transport.get_write_buffer_size():
        loop.call_later(stuck_s, look, left)


def _refusing(status: int, detail: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an app that refuses a request and lets its connection end."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(status, detail)
        answer.headers.append(_CLOSE)
        await answer.send(scope, receive, send)

    return refuse


def bounded(limit: int, limits: Limits = STANDARD) -> type[BoundedProtocol]:
    """Return the protocol for at most `limit` connections at once, each within the limits."""
    bounds = {"limit": limit, "limits": limits}
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
