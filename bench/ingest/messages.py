"""The messages of the load: each device numbers its readings from 1, three values each."""

import json
import struct

_MAX_MID = 60_000
_FIRST_TS_MS = 1_700_000_000_000
_TS_STEP_MS = 1_000
_SEVEN_BITS = 128


def packet(index: int, devices: int, *, readings: int = 1, ts_ms: int | None = None) -> bytes:
    """Return one PUBLISH; each device numbers its readings from 1."""
    device, nth = index % devices, index // devices
    topic = f"t/bench/device-{device}/telemetry".encode()
    first_seq = nth * readings + 1
    if readings == 1:
        payload = _single(device, first_seq, ts_ms)
    else:
        payload = _columns(device, first_seq, readings)
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", index % _MAX_MID + 1)
    return b"\x32" + _length(len(body) + len(payload)) + body + payload


def values_of(device: int, seq: int) -> dict[str, float]:
    """Return the three values of a reading."""
    return {
        "temperature_c": 20 + device % 7 + seq % 10 / 10,
        "humidity_pct": 40 + seq % 20,
        "pressure_pa": 101_000 + device % 1_000 + seq % 100,
    }


def ts_ms_of(seq: int) -> int:
    """Return the time of a reading that carries none of its own."""
    return _FIRST_TS_MS + seq * _TS_STEP_MS


def _single(device: int, seq: int, ts_ms: int | None) -> bytes:
    at_ms = ts_ms_of(seq) if ts_ms is None else ts_ms
    values = json.dumps(values_of(device, seq), separators=(",", ":"))
    return f'{{"ts":{at_ms},"boot":"b1","seq":{seq},"values":{values}}}'.encode()


def _columns(device: int, first_seq: int, readings: int) -> bytes:
    seqs = range(first_seq, first_seq + readings)
    rows = [values_of(device, seq) for seq in seqs]
    message = {
        "boot": "b1",
        "seq": first_seq,
        "ts": [ts_ms_of(seq) for seq in seqs],
        "values": {name: [row[name] for row in rows] for name in rows[0]},
    }
    return json.dumps(message, separators=(",", ":")).encode()


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, _SEVEN_BITS)
        encoded.append(low | (_SEVEN_BITS if value else 0))
        if not value:
            return bytes(encoded)
