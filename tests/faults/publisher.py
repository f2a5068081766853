"""Devices in a process of their own, which know what was acknowledged.

`python -m tests.faults.publisher JSON`, with the fields of `Orders`. Prints `acked N` (of all
devices together, end to end) as it goes on, and at the end one JSON object: `Outcome`.

Patient devices do as the edge agent does: they go on until every reading is acknowledged end to
end, and send again from there when that stands still. Careless ones publish once, and repeat
only what the broker itself has not acknowledged.
"""

import select
import socket
import sys
import time

import msgspec

from tests.faults import packets

_KEEPALIVE_S = 5
_CONNECT_S = 2.0
_PAUSE_S = 0.1
_STALL_S = 2.0
_SILENCE_S = 6.0
# A patient device whose readings are never acknowledged again has found a fault.
_GIVE_UP_S = 90.0
_TELL_S = 0.1
_GROUP = 50
_MAX_MID = 65_000
_MAX_QUEUED_BYTES = 1 << 20
# The longest text that is taken, about.
_TEXT_CHARS = 4_000
# How far devices run ahead of what is durable, together.
_MAX_AHEAD = 40_000


class Orders(msgspec.Struct, frozen=True):
    """What to publish; `rate` in messages a second, 0 for as fast as it goes.

    Every reading whose sequence `bad_every` divides has a value `bad` beside its own.
    """

    port: int
    messages: int
    devices: int
    name: str = "publisher"
    rate: float = 0.0
    window: int = 1_000
    is_careless: bool = False
    first_ts_ms: int = 0
    padding: int = 0
    bad_every: int = 0

    def bad(self) -> int:
        """Return how many readings have a value `bad`."""
        each = self.messages // self.devices
        return each // self.bad_every * self.devices if self.bad_every else 0


class Outcome(msgspec.Struct, frozen=True):
    """PUBLISH packets sent, and for each device the sequence acknowledged end to end."""

    sent: int
    connections: int
    acked: list[int]


class Publisher:
    """All devices over one connection, which is made again whenever it ends."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._last = orders.messages // orders.devices
        self._topics = [f"t/faults/d{n}/telemetry".encode() for n in range(orders.devices)]
        self._device_of = {f"t/faults/d{n}/ack".encode(): n for n in range(orders.devices)}
        self._acked = [0] * orders.devices
        self._next = [1] * orders.devices
        self._turn = 0
        self._in_flight: dict[int, tuple[int, int]] = {}
        self._again: list[tuple[int, int]] = []
        self._mid = 0
        self.sent = self.connections = 0
        self._progress_at_s = self._heard_at_s = self._told_at_s = 0.0
        self._began_s = self._acked_at_s = time.monotonic()
        sizes = range(orders.padding, 0, -_TEXT_CHARS)
        texts = (f',"note{n}":"{"x" * min(n, _TEXT_CHARS)}"' for n in sizes)
        self._padding = "".join(texts)

    def run(self) -> Outcome:
        """Publish until everything is done."""
        while not self._is_done():
            try:
                with socket.create_connection(
                    ("127.0.0.1", self._orders.port), timeout=_CONNECT_S
                ) as connection:
                    self._session(connection)
            except (OSError, packets.Broken):
                select.select([], [], [], _PAUSE_S)
        return Outcome(self.sent, self.connections, self._acked)

    def _is_done(self) -> bool:
        if self._orders.is_careless:
            waits = self._in_flight or self._again
            return not waits and all(each > self._last for each in self._next)
        if time.monotonic() - self._acked_at_s > _GIVE_UP_S:
            return True
        return sum(self._acked) >= self._last * len(self._acked)

    def _session(self, connection: socket.socket) -> None:
        self.connections += 1
        unread, queued = bytearray(), bytearray()
        queued += packets.connect(self._orders.name, keepalive_s=_KEEPALIVE_S)
        queued += packets.subscribe("t/+/+/ack")
        self._start_over()
        connection.setblocking(False)
        self._heard_at_s = pinged_s = time.monotonic()
        while not self._is_done():
            now_s = time.monotonic()
            if now_s - self._heard_at_s > _SILENCE_S:
                raise packets.Broken("silence")
            if now_s - pinged_s > _KEEPALIVE_S / 2:
                queued += packets.PINGREQ
                pinged_s = now_s
            self._note_stall(now_s)
            self._fill(queued, now_s)
            readable, writable, _ = select.select(
                [connection], [connection] if queued else [], [], 0.02
            )
            if writable:
                del queued[: connection.send(queued)]
            if readable:
                self._receive(connection, unread)
            self._tell(now_s)

    def _start_over(self) -> None:
        """Begin where the last connection left off, by what is known to have arrived."""
        if self._orders.is_careless:
            self._again += self._in_flight.values()
        else:
            self._next = [acked + 1 for acked in self._acked]
        self._in_flight.clear()
        self._progress_at_s = time.monotonic()

    def _note_stall(self, now_s: float) -> None:
        if self._orders.is_careless or now_s - self._progress_at_s < _STALL_S:
            return
        self._next = [acked + 1 for acked in self._acked]
        self._progress_at_s = now_s

    def _fill(self, queued: bytearray, now_s: float) -> None:
        while self._may_send(now_s) and len(queued) < _MAX_QUEUED_BYTES:
            group = [self._publish(*one) for one in self._due()]
            if not group:
                return
            queued += b"".join(group)
            self.sent += len(group)

    def _may_send(self, now_s: float) -> bool:
        orders = self._orders
        if len(self._in_flight) >= orders.window:
            return False
        if not orders.is_careless and sum(self._next) - sum(self._acked) > _MAX_AHEAD:
            return False
        return not orders.rate or self.sent <= (now_s - self._began_s) * orders.rate

    def _due(self) -> list[tuple[int, int]]:
        due, self._again = self._again[:_GROUP], self._again[_GROUP:]
        for _ in range(len(self._next)):
            if len(due) >= _GROUP:
                break
            device = self._turn = (self._turn + 1) % len(self._next)
            if self._next[device] <= self._last:
                due.append((device, self._next[device]))
                self._next[device] += 1
        return due

    def _publish(self, device: int, seq: int) -> bytes:
        self._mid = self._mid % _MAX_MID + 1
        while self._mid in self._in_flight:
            self._mid = self._mid % _MAX_MID + 1
        self._in_flight[self._mid] = (device, seq)
        ts_ms = self._orders.first_ts_ms + seq
        is_bad = self._orders.bad_every and seq % self._orders.bad_every == 0
        more = self._padding + (',"bad":1' if is_bad else "")
        payload = f'{{"boot":"b","seq":{seq},"ts":{ts_ms},"values":{{"v":{seq}{more}}}}}'
        return packets.publish(self._topics[device], self._mid, payload.encode())

    def _receive(self, connection: socket.socket, unread: bytearray) -> None:
        data = connection.recv(65_536)
        if not data:
            raise packets.Broken("hung up")
        unread += data
        for head, body in packets.taken(unread):
            self._heard_at_s = time.monotonic()
            if head == packets.PUBACK:
                self._in_flight.pop(int.from_bytes(body[:2], "big"), None)
            elif head & 0xF0 == packets.PUBLISH:
                self._note_ack(body)

    def _note_ack(self, body: bytes) -> None:
        end = 2 + int.from_bytes(body[:2], "big")
        device = self._device_of.get(body[2:end])
        try:
            seq = msgspec.json.decode(body[end:])["seq"]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            return
        if device is None or not isinstance(seq, int) or seq <= self._acked[device]:
            return
        self._acked[device] = min(seq, self._last)
        self._next[device] = max(self._next[device], seq + 1)
        self._progress_at_s = self._acked_at_s = time.monotonic()

    def _tell(self, now_s: float) -> None:
        if now_s - self._told_at_s > _TELL_S:
            self._told_at_s = now_s
            done = sum(self._next) if self._orders.is_careless else sum(self._acked)
            print("acked", done, flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    outcome = Publisher(msgspec.json.decode(sys.argv[1], type=Orders)).run()
    print(msgspec.json.encode(outcome).decode(), flush=True)  # noqa: T201 - the parent reads it
