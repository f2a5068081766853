"""The ASGI app that the server knows: what is behind it may be replaced between calls."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST_WAIT_S = 60.0
# WebSockets may stay open for days: their clients are told to come again.
_SOCKETS_STAY_S = 3.0
_CLOSE = {"type": "websocket.close", "code": 1012, "reason": "the step was loaded again"}


class Front:
    """Passes each call on to the app of now."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._calls: dict[ASGIApp, _Calls] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on; it ends in the app in which it began."""
        app = self.app
        calls = self._calls.get(app)
        if calls is None:
            calls = self._calls[app] = _Calls()
        if scope["type"] == "websocket":
            send = calls.noting(send)
        calls.under_way += 1
        try:
            await app(scope, receive, send)
        finally:
            calls.under_way -= 1
            calls.sockets.discard(send)
            if calls.ended is not None:
                calls.ended.set()

    async def wait_idle(self, app: ASGIApp) -> None:
        """Wait until no call is under way in an app that was replaced, at most a minute.

        WebSockets that are still open after 3 s are closed with 1012 (service restart).
        """
        calls = self._calls.get(app) or _Calls()
        with anyio.move_on_after(_LONGEST_WAIT_S):
            with anyio.move_on_after(_SOCKETS_STAY_S):
                await calls.wait_over()
            await calls.close_sockets()
            await calls.wait_over()
        self._calls.pop(app, None)


class _Calls:
    """What is under way in one app."""

    def __init__(self) -> None:
        self.under_way = 0
        self.ended: anyio.Event | None = None
        self.sockets: set[Send] = set()

    def noting(self, send: Send) -> Send:
        """Return a WebSocket's `send` that is noted once the connection is accepted."""

        async def noted(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.accept":
                self.sockets.add(noted)

        return noted

    async def close_sockets(self) -> None:
        """Close every WebSocket; its app learns it as the connection's end."""
        for send in list(self.sockets):
            await send(_CLOSE)

    async def wait_over(self) -> None:
        """Wait until nothing is under way; one task at a time waits."""
        while self.under_way:
            self.ended = anyio.Event()
            await self.ended.wait()
