"""Records of the spool: what goes in comes out, and what was changed is not believed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.ledger.accounts import DRAINED, Tally
from cloud.ingest.spool.contents import (
    Unreadable,
    census_of,
    contents_of,
    packed,
    packed_census,
    unpacked,
    unpacked_census,
)
from cloud.ingest.spool.draining import Drain, reconciled
from cloud.ingest.spool.frame import HEADER_BYTES, MAGIC, Draft, framed, header_of, is_whole
from tests.support.spools import batch_of, draft, payload_of
from wire.ids import DeviceKey, device_id, tenant_id

_PUMP, _FAN = (DeviceKey(tenant_id("acme"), device_id(name)) for name in ("pump", "fan"))
_KEY = b"k" * 32

_values = st.dictionaries(
    st.sampled_from(["t", "pressure", "\N{SNOWMAN}"]),
    st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=20),
    max_size=3,
)
_readings = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "ts": st.integers(0, 600_000),
            "seq": st.integers(1, 2**40),
            "boot": st.sampled_from(["k1", "k2"]),
            "values": _values,
        },
    ),
    max_size=4,
).map(lambda points: msgspec.json.encode({"points": points}))
_payloads = st.lists(
    st.tuples(st.sampled_from(["pump", "fan"]), _readings | st.binary(max_size=20)), max_size=8
)


@given(_payloads)
def test_contents_come_out_as_they_went_in(payloads: list[tuple[str, bytes]]) -> None:
    """Points to the bit, payloads to the byte, and counts as the ledger was told."""
    batch = batch_of(payloads)

    found = unpacked(packed(contents_of(batch)))
    drain = Drain([found])

    assert (drain.points.series, drain.points.ts_ms) == (batch.points.series, batch.points.ts_ms)
    assert repr(drain.points.values) == repr(batch.points.values)
    assert drain.points.order == batch.points.order
    taken = zip(payloads, batch.taken, strict=True)
    kept = [payload for (_, payload), indexes in taken if indexes]
    assert [message.payload for message in found.messages] == kept
    census = {device: t.stored for device, t in batch.entry.tallies.items() if t.stored}
    assert unpacked_census(packed_census(census_of(found))) == census
    entry = drain.entry({}, last_id=7)
    assert {device: t.stored for device, t in entry.tallies.items()} == census
    assert {device: -t.spooled for device, t in entry.tallies.items()} == census
    assert entry.facts == {DRAINED: "7"}


@given(st.binary(max_size=50), st.binary(max_size=50), st.data())
def test_record_is_whole_or_not_believed(
    census: bytes, contents: bytes, data: st.DataObject
) -> None:
    """Whatever byte is changed, whatever is cut off, and with another file's key."""
    record = framed(Draft(census, contents, 3), 9, written_ms=5, key=_KEY)
    header = header_of(record)
    assert header is not None
    place = data.draw(st.integers(0, len(record) - 1))
    changed = bytearray(record)
    changed[place] ^= data.draw(st.integers(1, 255))
    shorter = record[:place]

    assert (header.record_id, header.written_ms, header.readings) == (9, 5, 3)
    assert is_whole(header, record[HEADER_BYTES:], key=_KEY)
    assert not is_whole(header, record[HEADER_BYTES:], key=b"another")
    for damaged in (bytes(changed), shorter):
        found = header_of(damaged)
        assert found is None or not is_whole(found, damaged[HEADER_BYTES:], key=_KEY)


@given(st.binary(max_size=100))
def test_bytes_of_another_version_are_unreadable(data: bytes) -> None:
    """Whole bytes that are no contents raise what is expected, and nothing else."""
    for unpack in (unpacked, unpacked_census):
        with pytest.raises(Unreadable):
            unpack(data)
    assert header_of(MAGIC + b"\xff" * 60) is None


def test_drain_joins_records_and_names_what_was_refused() -> None:
    """Message 2 of two records is dead, with the payload and the indexes that were taken."""
    first, second = (
        unpacked(packed(contents_of(batch_of([(device, payload_of(seq)) for seq in seqs]))))
        for device, seqs in (("pump", (1, 2)), ("fan", (1,)))
    )
    drain = Drain([first, second])

    entry = drain.entry({1: "too hot"}, last_id=4)

    assert drain.ends == [1, 2, 3]
    assert entry.tallies == {
        _PUMP: Tally(stored=1, dead=1, spooled=-2),
        _FAN: Tally(stored=1, spooled=-1),
    }
    (letter,) = entry.letters
    assert (letter.device, letter.reason, letter.payload) == (_PUMP, "too hot", payload_of(2))
    assert (letter.only, letter.readings, letter.received_at_ms) == ([0], 1, 1_000)


def test_reconciled_makes_dead_what_is_gone_and_takes_what_is_new() -> None:
    """A loss is a letter that says so; what the ledger does not know of is in flight again."""
    entry = reconciled({_PUMP: 5}, {_PUMP: 3, _FAN: 2}, now_ms=9)

    assert entry.tallies == {
        _PUMP: Tally(spooled=-2, dead=2),
        _FAN: Tally(spooled=2, heard_at_ms=9),
    }
    (letter,) = entry.letters
    assert (letter.device, letter.readings, letter.payload) == (_PUMP, 2, b"")
    assert letter.is_shortened
    assert letter.reason.startswith("lost: acknowledged")
    assert reconciled({_PUMP: 5}, {_PUMP: 5}, now_ms=9).tallies == {}


def test_record_costs_few_bytes_a_reading() -> None:
    """Columns and payloads say the same: packed together they are a third of the payloads."""
    payloads = sum(len(payload_of(seq)) for seq in range(1, 1_001))

    assert draft(range(1, 1_001)).size_bytes < payloads / 3
