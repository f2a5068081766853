"""What one HTTP connection may cost: how many there are, how long and how large a head may be.

uvicorn itself bounds none of it: an idle connection would be kept for ever, and as many of them
as there are file descriptors would shut everybody out.
"""

import asyncio
import contextlib
import resource
from typing import Any

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 30.0
MAX_HEAD_BYTES = 64 * 1024
_MOST_FILES = 65_536
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
    """uvicorn's protocol with bounds, which `bounded` sets."""

    limit = 1_000
    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            self._close("too_many")
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, and refuse one that is too large."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._close("head_too_large")

    def on_message_begin(self) -> None:
        """Begin a request; on a kept connection its head is awaited from now on."""
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """End the wait for the head."""
        self._head_is_here()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._close, "head_too_slow")

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self, why: str) -> None:
        self._head_is_here()
        _refused.labels(why).inc()
        self.transport.close()


def bounded(limit: int, head_timeout_s: float = HEAD_TIMEOUT_S) -> type[BoundedProtocol]:
    """Return the protocol for at most `limit` connections at once, each head in time."""
    bounds = {"limit": limit, "head_timeout_s": head_timeout_s}
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
