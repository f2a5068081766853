"""uvicorn's WebSocket protocol under our rules: how it ends, and that nobody holds it open."""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tidegate.http.connections import end_when_stuck
from tidegate.http.limits import STANDARD, Limits

_GOING_AWAY = 1001
_CLOSE_TIMEOUT_S = 2.0


class BoundedSocket(WebSocketsSansIOProtocol):
    """One connection; the bounds on messages and pings are in the server's configuration."""

    limits = STANDARD

    def shutdown(self) -> None:
        """Tell the client that we are going away; the app learns it as the connection's end."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self._end(_GOING_AWAY, "")
            self.queue.put_nowait({"type": "websocket.disconnect", "code": _GOING_AWAY})
            self.transport.close()
            self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)
            return
        super().shutdown()

    def keepalive_timeout(self) -> None:
        """End a connection whose client does not answer pings."""
        super().keepalive_timeout()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came; after a breach of the protocol it is thrown away."""
        if self.conn.parser_exc is None:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """Tell the client what it did, and read on a little: a reset would lose the telling."""
        close = self.conn.close_sent
        code, reason = (close.code, close.reason) if close else (1002, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        """Send a frame, or close: also past a client that takes nothing any more."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            if self.close_sent or self.disconnected:
                return
            self._end(message.get("code", 1000), message.get("reason") or "")
            code = message.get("code", 1000)
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
            self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)
            return
        if message["type"] == "websocket.send" and self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    async def run_asgi(self) -> None:
        """Serve the connection; its transport closes when the step is done with it."""
        await super().run_asgi()
        end_when_stuck(self.transport, self.loop, self.limits.stuck_s)

    def _end(self, code: int, reason: str) -> None:
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            # The client's own close is read, and ends the connection.
            self.read_paused = False
            self.transport.resume_reading()


def bounded_socket(limits: Limits) -> type[BoundedSocket]:
    """Return the protocol of WebSockets within the limits."""
    return type("BoundedSocket", (BoundedSocket,), {"limits": limits})
