"""Our payloads reading by reading, whatever shape they have."""

from wire.codecs import json, msgpack
from wire.messages import Decoded


def decoded_json(payload: bytes) -> Decoded:
    """Decode a JSON payload; raise `Malformed` as the codec does."""
    return json.decode_telemetry(payload).by_reading()


def decoded_msgpack(payload: bytes) -> Decoded:
    """Decode a payload in MessagePack; raise `Malformed` as the codec does."""
    return msgpack.decode_telemetry(payload).by_reading()
