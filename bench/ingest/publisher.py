"""A load generator in a process of its own: windowed QoS 1 publishing over a plain socket.

At full speed all packets are made before the clock starts, so that it takes little of the machine
it shares with what is measured. With `--rate` they are made as they are due and carry the
time at which they were, however late they leave: a wait for room in the window is waiting too.
Prints `ready`, then for each line on its standard input publishes everything once and prints
`sent`.
"""

import argparse
import socket
import sys
import time
from collections.abc import Iterator

from bench.ingest.messages import packet

_GROUP = 100
_PUBACK_BYTES = 4
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"
_TIMEOUT_S = 60.0


class Connection:
    """A connection that keeps at most `window` messages unacknowledged."""

    def __init__(self, port: int, window: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
        self._window = window
        self._sent = self._acknowledged_bytes = 0
        self._socket.sendall(_CONNECT)
        self._socket.recv(_PUBACK_BYTES)

    def send(self, packets: bytes, count: int) -> None:
        """Send packets, once there is room for them in the window."""
        while self._sent - self._acknowledged_bytes // _PUBACK_BYTES > self._window - count:
            self._hear()
        self._socket.sendall(packets)
        self._sent += count

    def settle(self) -> None:
        """Wait until everything is acknowledged."""
        while self._acknowledged_bytes < self._sent * _PUBACK_BYTES:
            self._hear()

    def _hear(self) -> None:
        self._acknowledged_bytes += len(self._socket.recv(65_536))


def main() -> None:
    """Connect, publish on demand."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.publisher", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--window", type=int, default=4_000)
    parser.add_argument("--readings", type=int, default=1, help="readings in a message")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: all at once")
    options = parser.parse_args()
    made = [] if options.rate else list(_groups(options))
    connection = Connection(options.port, options.window)
    print("ready", flush=True)
    for _ in sys.stdin:
        if options.rate:
            _pace(connection, options)
        for packets, count in made:
            connection.send(packets, count)
        connection.settle()
        print("sent", flush=True)


def _groups(options: argparse.Namespace) -> Iterator[tuple[bytes, int]]:
    size = max(1, _GROUP // options.readings)
    for start in range(0, options.messages, size):
        stop = min(start + size, options.messages)
        packets = b"".join(
            packet(index, options.devices, readings=options.readings)
            for index in range(start, stop)
        )
        yield packets, stop - start


def _pace(connection: Connection, options: argparse.Namespace) -> None:
    """Send what is due every few milliseconds, each message with the time when it was.

    No two readings of a device have one time: a store would take them for the same.
    """
    began_s, began_ms = time.perf_counter(), time.time_ns() // 1_000_000
    step_ms = 1_000 / options.rate
    sent = 0
    while sent < options.messages:
        due = min(options.messages, int((time.perf_counter() - began_s) * options.rate))
        packets = [
            packet(index, options.devices, ts_ms=began_ms + int((index + 1) * step_ms))
            for index in range(sent, due)
        ]
        for start in range(0, len(packets), _GROUP):
            group = packets[start : start + _GROUP]
            connection.send(b"".join(group), len(group))
        sent = due
        time.sleep(0.002)  # noqa: TID251 - a process of its own, with nothing else to do


if __name__ == "__main__":
    main()
