"""A load generator in a process of its own: windowed QoS 1 publishing over a plain socket.

All packets are made before the clock starts, so that it takes little of the machine it shares
with what is measured. `python -m bench.publisher PORT MESSAGES DEVICES WINDOW`: prints `ready`,
then for each line on its standard input publishes everything once and prints `sent`.
"""

import socket
import struct
import sys

_GROUP = 100
_MAX_MID = 60_000
_FIRST_TS_MS = 1_700_000_000_000
_PUBACK_BYTES = 4
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"
_TIMEOUT_S = 60.0


def main() -> None:
    """Make the packets, connect, publish on demand."""
    port, messages, devices, window = map(int, sys.argv[1:])
    groups = [
        b"".join(_packet(index, devices) for index in range(start, start + _GROUP))
        for start in range(0, messages, _GROUP)
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(_CONNECT)
        connection.recv(_PUBACK_BYTES)
        print("ready", flush=True)
        for _ in sys.stdin:
            _publish(connection, groups, window=window)
            print("sent", flush=True)


def _publish(connection: socket.socket, groups: list[bytes], *, window: int) -> None:
    acknowledged_bytes = 0
    for number, group in enumerate(groups):
        while number * _GROUP - acknowledged_bytes // _PUBACK_BYTES > window - _GROUP:
            acknowledged_bytes += len(connection.recv(65_536))
        connection.sendall(group)
    while acknowledged_bytes < len(groups) * _GROUP * _PUBACK_BYTES:
        acknowledged_bytes += len(connection.recv(65_536))


def _packet(index: int, devices: int) -> bytes:
    """Return one PUBLISH of three values; each device numbers its readings from 1."""
    device, seq = index % devices, index // devices + 1
    topic = f"t/bench/device-{device}/telemetry".encode()
    payload = (
        f'{{"ts":{_FIRST_TS_MS + seq * 1_000},"boot":"b1","seq":{seq},"values":'
        f'{{"temperature_c":{20 + device % 7 + seq % 10 / 10},'
        f'"humidity_pct":{40 + seq % 20},"pressure_pa":{101_000 + device + seq % 100}}}}}'
    ).encode()
    mid = index % _MAX_MID + 1
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", mid) + payload
    return b"\x32" + _length(len(body)) + body


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (128 if value else 0))
        if not value:
            return bytes(encoded)


if __name__ == "__main__":
    main()
