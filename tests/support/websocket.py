"""A WebSocket client that shows what passes (RFC 6455): no extensions, no hidden reading ahead."""

import base64
import os
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

_WAIT_S = 10
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_MOST_HEAD_BYTES = 65_536


class WebSocketClient:
    """A connection, or the answer of a server that refused it (`status`, `body`)."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.status = 0
        self.body = b""
        self._stream = stream
        self._reader = BufferedByteReceiveStream(stream)

    async def open(self, path: str, headers: Mapping[str, str]) -> None:
        """Ask for the upgrade."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1", "Host: here", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers.items()), "", "",
        ]  # fmt: skip
        await self._stream.send("\r\n".join(lines).encode())
        with anyio.fail_after(_WAIT_S):
            head = (await self._reader.receive_until(b"\r\n\r\n", _MOST_HEAD_BYTES)).decode()
            self.status = int(head.split(" ", 2)[1])
            length = [ln for ln in head.lower().split("\r\n") if ln.startswith("content-length:")]
            if self.status != 101 and length:
                self.body = await self._reader.receive_exactly(int(length[0].split(":")[1]))

    async def text(self) -> str:
        """Return the next text; pings are answered on the way."""
        kind, payload = await self._frame()
        assert kind == _TEXT, (kind, payload)
        return payload.decode()

    async def close_code(self) -> int:
        """Return the code of the server's close frame."""
        kind, payload = await self._frame()
        assert kind == _CLOSE, (kind, payload)
        return int(struct.unpack("!H", payload[:2])[0])

    async def send_text(self, text: str) -> None:
        """Send a short text."""
        await self._send(_TEXT, text.encode())

    async def cut(self) -> None:
        """End the connection without a word."""
        await self._stream.aclose()

    async def _frame(self) -> tuple[int, bytes]:
        with anyio.fail_after(_WAIT_S):
            while True:
                first, second = await self._reader.receive_exactly(2)
                size = second & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self._reader.receive_exactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self._reader.receive_exactly(8))
                payload = await self._reader.receive_exactly(size) if size else b""
                if first & 0x0F != _PING:
                    return first & 0x0F, payload
                await self._send(_PONG, payload)

    async def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        await self._stream.send(bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked)


@asynccontextmanager
async def websocket(
    port: int, path: str, headers: Mapping[str, str]
) -> AsyncIterator[WebSocketClient]:
    """Connect while the context is open; a refusal is no error, but in `status`."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = WebSocketClient(stream)
        await client.open(path, headers)
        yield client
