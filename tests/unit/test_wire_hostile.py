"""Whatever bytes come, every decoder gives readings or `Malformed`, and no more than was sent."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.decoding import DECODERS, bound_formats, check, recorded
from wire.codecs.checks import MAX_PAYLOAD_BYTES
from wire.codecs.formats import Format
from wire.errors import Malformed

_FORMATS = [pytest.param(form, id=form.name) for form in DECODERS]
_RECORDED = {form.name: [*recorded(form), b"{}"] for form in DECODERS}


@st.composite
def _damaged(draw: st.DrawFn, payloads: list[bytes]) -> bytes:
    """Return a recorded payload in which bytes were changed, doubled, lost or put in."""
    payload = bytearray(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(payload)))
        end = min(len(payload), start + draw(st.integers(0, 6)))
        piece = draw(st.binary(max_size=3) | st.just(bytes(payload[start:end]) * 2))
        payload[start:end] = piece
    return bytes(payload)


def _checked(form: Format, payload: bytes) -> None:
    for bound in bound_formats(form):
        bound.identities(payload)
        try:
            decoded = bound.decode(payload).by_reading()
        except Malformed:
            continue
        check(decoded, payload)


@pytest.mark.parametrize("form", _FORMATS)
@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(data=st.data())
def test_decoder_takes_or_refuses_any_bytes(form: Format, data: st.DataObject) -> None:
    """Random bytes and damaged payloads raise nothing else, and every index is right."""
    payloads = _RECORDED[form.name]

    payload = data.draw(st.binary(max_size=80) | _damaged(payloads) | _damaged(payloads))

    _checked(form, payload)


@pytest.mark.parametrize("form", _FORMATS)
@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1])
@pytest.mark.parametrize(
    "piece", [b"[", b"\x81", b"\x91", b'{"a":', b"[],", b"\xff", b"\0", b"a 1\n"]
)
def test_decoder_survives_a_large_payload(form: Format, size: int, piece: bytes) -> None:
    """A megabyte of nesting or of nothing is taken or refused without harm."""
    _checked(form, (piece * size)[:size])


@pytest.mark.parametrize(
    "form", [pytest.param(form, id=form.name) for form in DECODERS if form.bind is None]
)
def test_decoder_reads_what_was_recorded(form: Format) -> None:
    """Each format has recorded payloads, and none of them is malformed."""
    payloads = list(recorded(form))

    assert payloads
    assert all(form.decode(payload).by_reading().readings for payload in payloads)
