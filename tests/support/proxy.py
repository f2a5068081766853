"""A TCP proxy that does to a connection what networks do: slow, cut, half-open, silent, wrong.

Every fault belongs to one direction and can be set and taken back while bytes flow:

    async with Proxy(broker.port) as proxy:
        proxy.to_client.swallows = True  # half-open: what the server says never arrives
        ...
        proxy.heal()
"""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

_READ_BYTES = 65_536
_CHUNKS_ON_THE_WAY = 256
_TICK_S = 0.01
# SO_LINGER on with no time: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)

Chunks = tuple[float, bytes]


@dataclass
class Direction:
    """The faults of one direction, of all connections.

    `latency_s` delays every byte, `bytes_per_s` bounds the rate (0: not at all). `is_frozen`
    keeps bytes back until it is taken back, `swallows` loses them as a black hole does. After
    `cut_after` more bytes the connection is cut, the byte `corrupt_at` from now is flipped;
    both happen once.
    """

    latency_s: float = 0.0
    bytes_per_s: float = 0.0
    is_frozen: bool = False
    swallows: bool = False
    cut_after: int | None = None
    corrupt_at: int | None = None
    passed_bytes: int = 0

    def heal(self) -> None:
        """Take every fault back."""
        self.latency_s = self.bytes_per_s = 0.0
        self.is_frozen = self.swallows = False
        self.cut_after = self.corrupt_at = None

    def spoiled(self, data: bytes) -> tuple[bytes, bool]:
        """Return what comes through of `data`, and whether the connection is cut behind it."""
        data = self._corrupted(data)
        is_cut = False
        if self.cut_after is not None:
            is_cut = self.cut_after <= len(data)
            data = data[: self.cut_after] if is_cut else data
            self.cut_after = None if is_cut else self.cut_after - len(data)
        self.passed_bytes += len(data)
        return data, is_cut

    def _corrupted(self, data: bytes) -> bytes:
        at = self.corrupt_at
        if at is None:
            return data
        if at >= len(data):
            self.corrupt_at = at - len(data)
            return data
        self.corrupt_at = None
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@dataclass(eq=False)
class _Pair:
    """One connection through the proxy; `has_lost` bytes: it cannot go on when all is healed."""

    client: anyio.abc.SocketStream
    server: anyio.abc.SocketStream
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    has_lost: bool = False
    ends_with_reset: bool = False


class Proxy:
    """Listens on `port` and connects each client to `target_port`, on 127.0.0.1 both."""

    def __init__(self, target_port: int) -> None:
        self.to_server, self.to_client = Direction(), Direction()
        self.refuses = False
        self.accepted = 0
        self._target_port = target_port
        self._pairs: set[_Pair] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        self.port: int = self._listener.extra(anyio.abc.SocketAttribute.local_port)
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._listener.serve, self._handle)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut everything and stop listening."""
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self._listener.aclose()

    def heal(self) -> None:
        """Take every fault back; connections that lost bytes are reset, as they would be."""
        self.refuses = False
        self.to_server.heal()
        self.to_client.heal()
        for pair in self._pairs:
            if pair.has_lost:
                self._end(pair, with_reset=True)

    def cut(self, *, with_reset: bool = False) -> None:
        """End all connections now: by FIN, or by RST."""
        for pair in self._pairs:
            self._end(pair, with_reset=with_reset)

    def _end(self, pair: _Pair, *, with_reset: bool) -> None:
        pair.ends_with_reset = pair.ends_with_reset or with_reset
        pair.scope.cancel()

    async def _handle(self, client: anyio.abc.SocketStream) -> None:
        self.accepted += 1
        async with client:
            if self.refuses:
                _reset(client)
                return
            try:
                server = await anyio.connect_tcp("127.0.0.1", self._target_port)
            except OSError:
                _reset(client)
                return
            async with server:
                await self._connect(_Pair(client, server))

    async def _connect(self, pair: _Pair) -> None:
        self._pairs.add(pair)
        try:
            with pair.scope:
                async with anyio.create_task_group() as pumps:
                    pumps.start_soon(_pump, pair, pair.client, pair.server, self.to_server)
                    pumps.start_soon(_pump, pair, pair.server, pair.client, self.to_client)
        finally:
            self._pairs.discard(pair)
        if pair.ends_with_reset:
            _reset(pair.client)
            _reset(pair.server)


async def _pump(
    pair: _Pair,
    source: anyio.abc.SocketStream,
    sink: anyio.abc.SocketStream,
    faults: Direction,
) -> None:
    send, receive = anyio.create_memory_object_stream[Chunks](_CHUNKS_ON_THE_WAY)
    async with anyio.create_task_group() as ends:
        ends.start_soon(_read, source, send, faults)
        ends.start_soon(_write, pair, receive, sink, faults)
    pair.scope.cancel()


async def _read(
    source: anyio.abc.SocketStream, send: MemoryObjectSendStream[Chunks], faults: Direction
) -> None:
    with send, suppress(*_GONE):
        while True:
            data = await source.receive(_READ_BYTES)
            await send.send((anyio.current_time() + faults.latency_s, data))


async def _write(
    pair: _Pair,
    receive: MemoryObjectReceiveStream[Chunks],
    sink: anyio.abc.SocketStream,
    faults: Direction,
) -> None:
    with receive, suppress(*_GONE):
        async for due_s, data in receive:
            await anyio.sleep_until(due_s)
            while faults.is_frozen:  # noqa: ASYNC110 - a test changes a plain attribute
                await anyio.sleep(_TICK_S)
            if faults.swallows:
                pair.has_lost = True
                continue
            passed, is_cut = faults.spoiled(data)
            await sink.send(passed)
            if is_cut:
                pair.scope.cancel()
                return
            if faults.bytes_per_s:
                await anyio.sleep(len(passed) / faults.bytes_per_s)


def _reset(stream: anyio.abc.SocketStream) -> None:
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
