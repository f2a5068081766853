"""The ASGI app that the server knows: what is behind it may be replaced between calls."""

from collections import Counter as Tally

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

_LONGEST_WAIT_S = 60.0


class Front:
    """Passes each call on to the app of now."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._under_way: Tally[ASGIApp] = Tally()
        self._ended = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on; it ends in the app in which it began."""
        app = self.app
        self._under_way[app] += 1
        try:
            await app(scope, receive, send)
        finally:
            self._under_way[app] -= 1
            self._ended.set()

    async def wait_idle(self, app: ASGIApp) -> None:
        """Wait until no call is under way in an app that was replaced, at most a minute."""
        with anyio.move_on_after(_LONGEST_WAIT_S):
            while self._under_way[app] > 0:
                self._ended = anyio.Event()
                await self._ended.wait()
        del self._under_way[app]
