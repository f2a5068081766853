"""What tests and the fuzzer hold every decoder to, and the recorded payloads they start from."""

import json
from collections.abc import Iterator
from pathlib import Path

from wire.codecs.checks import check_values
from wire.codecs.formats import SHIPPED, Format
from wire.codecs.sparkplug import decode
from wire.messages import Decoded
from wire.sparkplug.births import Birth, read


def _decode_birth(payload: bytes) -> Decoded:
    """Decode a Sparkplug payload as a birth, the only kind that needs none before it."""
    message = decode(payload)
    return read(message, Birth.of(message)).decoded


# A Sparkplug payload is no format of its own: what it says depends on births.
DECODERS = (*SHIPPED, Format("sparkplug", _decode_birth))
_FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
# What a topic may give to a format that is bound to one.
_TOPICS: tuple[dict[str, str], ...] = ({}, {"#": "relay/0"})


def recorded(form: Format) -> Iterator[bytes]:
    """Yield the recorded payloads of a format: files of its own, and messages of devices."""
    for file in sorted((_FIXTURES / "payloads" / form.name).glob("*")):
        yield file.read_bytes()
    for file in sorted((_FIXTURES / "devices" / form.name).glob("*.json")):
        for message in json.loads(file.read_text("utf-8"))["messages"]:
            text = message.get("text")
            yield (json.dumps(message["payload"]) if text is None else text).encode()


def check(decoded: Decoded, payload: bytes) -> None:
    """Raise `AssertionError` when what was decoded cannot be right, whatever the payload."""
    items = len(decoded.readings) + len(decoded.refused)
    values = sum(len(reading.values) for reading in decoded.readings)
    _must(items <= len(payload) + 1 and values <= len(payload) + 1, "more than was sent")
    indexes = [refusal.index for refusal in decoded.refused]
    _must(indexes == sorted(set(indexes)), "an index stands twice")
    _must(not indexes or indexes[-1] < items, "an index is beyond the readings")
    _must(all(refusal.reason for refusal in decoded.refused), "a refusal without a reason")
    for reading in decoded.readings:
        check_values({str(name): value for name, value in reading.values.items()})
        for number in (reading.ts_ms, reading.age_ms, reading.seq):
            _must(number is None or type(number) is int, "a time or sequence is no integer")


def bound_formats(form: Format) -> list[Format]:
    """Return a format as it is on several topics, when topics matter to it."""
    return [form.for_topic(names) for names in _TOPICS] if form.bind else [form]


def _must(holds: bool, fault: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise AssertionError(fault)
