"""Decoding and sorting into batches: every message and every reading has exactly one fate."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.batch import Batch, Heard
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.file import LedgerAway
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.messages import RETAINED
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Blank
from tests.support.intakes import (
    NOW_MS,
    PUMP,
    TOPIC,
    chunk_of,
    fates_of,
    filled,
    new_intake,
    reading_of,
)
from wire.codecs.checks import MAX_PAYLOAD_BYTES
from wire.ids import DeviceKey
from wire.messages import Status
from wire.points import order_of


def test_intake_stores_points_under_the_topics_device() -> None:
    """Identity comes from the topic alone, whatever the payload says."""
    payload = b'{"tenant":"evil","device":"evil","ts":1700000000000,"values":{"t":1,"ok":true}}'

    batch = filled(chunk_of(payload))

    assert [key[:2] for key in batch.points.series] == [PUMP, PUMP]
    assert batch.points.ts_ms == [NOW_MS, NOW_MS]
    assert batch.points.values == [1.0, True]
    assert batch.first_seen == [PUMP]


def test_intake_recognises_a_reading_by_boot_and_seq() -> None:
    """The same sequence of the same boot is a duplicate; of another boot it is not."""
    batch = filled(chunk_of(reading_of(1), reading_of(1), reading_of(2), reading_of(1, boot="k2")))

    assert fates_of(batch) == (3, 1, 0, 0)
    assert [(reach.boot, reach.seq) for reach in batch.reached] == [("k", 2), ("k2", 1)]


def test_intake_orders_points_by_their_readings_identity() -> None:
    """All values of a reading have its order; without boot and sequence it is 0."""
    nameless = b'{"ts":1700000000000,"values":{"t":1}}'
    two = b'{"boot":"k","seq":3,"ts":1700000000000,"values":{"t":1,"u":2}}'

    batch = filled(chunk_of(nameless, two, reading_of(4)))

    expected = [0, order_of("k", 3), order_of("k", 3), order_of("k", 4)]
    assert batch.points.order == expected
    assert batch.part(1, 2).order == [order_of("k", 3)]
    batch.reject({1: "no"})
    assert batch.points.order == [0, order_of("k", 4)]


def test_intake_remembers_sequences_of_earlier_runs() -> None:
    """What the ledger says was seen is a duplicate now, and is acknowledged once more."""
    intake = Intake(Blank({"k": Spans([(1, 9)])}), Settings())

    batch = filled(chunk_of(reading_of(9)), intake=intake)

    assert fates_of(batch) == (0, 1, 0, 0)
    assert batch.reached[0].seq == 9
    assert len(batch.points) == 0


def test_intake_acknowledgement_stops_at_a_hole_unless_declared() -> None:
    """`first` says that nothing earlier will come, so the reach may pass."""
    declared = b'{"boot":"k","seq":7,"first":5,"values":{"t":1}}'

    with_hole = filled(chunk_of(reading_of(1), reading_of(5), reading_of(6)))
    without = filled(chunk_of(reading_of(1), reading_of(5), reading_of(6), declared))

    assert [reach.seq for reach in with_hole.reached] == [1]
    assert [reach.seq for reach in without.reached] == [7]


@pytest.mark.parametrize("payload", [b"junk", b"", b"{}", b"\xff\xfe", b'{"values":{}}'])
def test_intake_buries_what_cannot_be_read(payload: bytes) -> None:
    """An unreadable message is one dead reading, with its bytes and a reason; the rest goes on."""
    batch = filled(chunk_of(reading_of(1), payload, reading_of(2)))

    assert fates_of(batch) == (2, 0, 1, 0)
    letter = batch.entry.letters[0]
    assert (letter.payload, letter.device, letter.topic) == (payload, PUMP, TOPIC.decode())
    assert letter.reason


def test_intake_bad_reading_has_its_fate_too() -> None:
    """A refused reading is no hole: the acknowledgement passes it. Twice it is a duplicate."""
    payload = (
        b'{"boot":"k","points":[{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":null}},'
        b'{"seq":3,"ts":99999999999999,"values":{"t":1}},{"seq":4,"values":{"t":4}}]}'
    )

    batch = filled(chunk_of(payload, payload))

    assert fates_of(batch) == (2, 4, 2, 0)
    assert [letter.only for letter in batch.entry.letters] == [[1, 2]]
    assert batch.reached[0].seq == 4


@pytest.mark.parametrize(
    ("ts", "fate"),
    [
        (NOW_MS + 600_000, (1, 0, 0, 0)),
        (NOW_MS + 600_001, (0, 0, 1, 0)),
        (NOW_MS - 3_650 * 86_400_000, (1, 0, 0, 0)),
        (NOW_MS - 3_650 * 86_400_000 - 1, (0, 0, 1, 0)),
        (1_700_000_000, (0, 0, 1, 0)),
        (0, (0, 0, 1, 0)),
        (-1, (0, 0, 1, 0)),
        (2**70, (0, 0, 1, 0)),
    ],
)
def test_intake_refuses_times_that_cannot_be(ts: int, fate: tuple[int, int, int, int]) -> None:
    """More than `max_future_s` ahead, or before `max_past_days`, is dead with a reason."""
    assert fates_of(filled(chunk_of(reading_of(1, ts=ts)))) == fate


def test_intake_reading_without_time_gets_its_arrival() -> None:
    """Two that arrive in the same millisecond get different times: equal ones overwrite."""
    batch = filled(chunk_of(reading_of(1, ts=None), reading_of(2, ts=None)))

    assert batch.points.ts_ms == [NOW_MS, NOW_MS + 1]


def test_intake_filters_retained_readings_without_time() -> None:
    """A retained message comes with every subscription: without a time it is no news."""
    batch = filled(chunk_of(b'{"values":{"t":1}}', flags=0x32 | RETAINED))

    assert fates_of(batch) == (0, 0, 0, 1)


@pytest.mark.parametrize("topic", [b"t/a/b/other", b"t/\xff/b/telemetry", b"x", b"t/a b /c/status"])
def test_intake_buries_foreign_topics(topic: bytes) -> None:
    """A topic that is nobody's becomes a dead letter of nobody."""
    batch = filled(chunk_of(b"{}", topic=topic), chunk_of(reading_of(1)))

    assert batch.entry.letters[0].device is None
    assert fates_of(batch) == (1, 0, 0, 0)
    assert batch.ends == [0, 1]
    assert batch.foreign == 1


def test_intake_counts_channels_that_are_not_ours() -> None:
    """A device's topic that carries neither readings nor a status changes nothing but a count."""
    batch = filled(chunk_of(b"{}", topic=b"t/acme/pump/event"))

    assert (batch.foreign, batch.ends, batch.entry.letters) == (1, [0], [])


def test_intake_status_is_no_reading() -> None:
    """A birth changes presence; something else on the status topic is a letter of 0 readings."""
    topic = b"t/acme/pump/status"

    batch = filled(chunk_of(b'{"state":"online"}', b"junk", topic=topic))

    assert batch.statuses == [Heard(PUMP, Status("online"), NOW_MS)]
    assert [letter.readings for letter in batch.entry.letters] == [0]
    assert batch.entry.tallies == {}


def test_intake_retained_status_has_no_time() -> None:
    """What the broker kept from the past was not heard now."""
    topic = b"t/acme/pump/status"

    batch = filled(chunk_of(b'{"state":"online"}', topic=topic, flags=0x32 | RETAINED))

    assert batch.statuses == [Heard(PUMP, Status("online"), None)]


def test_intake_buries_what_is_too_large_unread() -> None:
    """It is not searched for sequences either; only its beginning is kept, and marked so."""
    point = b'{"seq":1,"values":{"t":1}},'
    payload = b'{"boot":"k","points":[' + point * (2 * MAX_PAYLOAD_BYTES // len(point)) + b"{}]}"

    batch = filled(chunk_of(payload))

    assert fates_of(batch) == (0, 0, 1, 0)
    assert batch.touched == {}
    (letter,) = batch.entry.letters
    assert (letter.is_shortened, len(letter.payload)) == (True, 1024)


@pytest.mark.parametrize("full", [Settings(batch_readings=3), Settings(queue_messages=12)])
def test_intake_fills_up_to_the_limit_and_goes_on_there(full: Settings) -> None:
    """A full batch leaves the rest of a chunk for the next one, nothing lost or twice.

    It has a quarter of the messages that may be unacknowledged at most.
    """
    intake, backlog = new_intake(full), Backlog()
    backlog.chunks.extend(
        [chunk_of(*map(reading_of, range(1, 6))), chunk_of(*map(reading_of, (6, 7)))]
    )

    batches = []
    while backlog.chunks:
        batches.append(Batch())
        intake.fill(batches[-1], backlog)

    assert [len(batch.points) for batch in batches] == [3, 3, 1]
    mids = [len(mids) for batch in batches for _, mids in batch.mids()]
    assert mids == [3, 2, 1, 1]


def test_intake_goes_on_after_the_ledger_was_away() -> None:
    """When a device's sequences cannot be read now, filling stops there and can be repeated."""
    faults = itertools.chain([None, LedgerAway("away")], itertools.repeat(None))

    class Away(Blank):
        def recall(self, device: DeviceKey) -> Remembered:
            if fault := next(faults):
                raise fault
            return super().recall(device)

    intake, batch, backlog = Intake(Away(), Settings()), Batch(), Backlog()
    fan = chunk_of(reading_of(1), topic=b"t/acme/fan/telemetry")
    backlog.chunks.extend([chunk_of(reading_of(1)), fan, chunk_of(reading_of(2))])

    with pytest.raises(LedgerAway):
        intake.fill(batch, backlog)
    intake.fill(batch, backlog)

    assert len(batch.points) == 3
    assert len(batch.ends) == 3
    assert sum(len(mids) for _, mids in batch.mids()) == 3


_SENT = st.one_of(
    st.integers(1, 6).map(reading_of),
    st.integers(1, 6).map(lambda seq: reading_of(seq, value=None)),
    st.integers(1, 6).map(lambda seq: reading_of(seq, ts=-5)),
    st.sampled_from([b"junk", b"{}", b'{"values":{"t":1}}']),
)


@given(st.lists(_SENT, max_size=30), st.integers(1, 5))
def test_intake_every_message_has_one_fate(payloads: list[bytes], limit: int) -> None:
    """Whatever comes in whatever order: the fates add up, and mids come in order of receipt."""
    intake, backlog = new_intake(Settings(batch_readings=limit)), Backlog()
    backlog.chunks.append(chunk_of(*payloads))
    batches = []

    while backlog.chunks:
        batches.append(Batch())
        intake.fill(batches[-1], backlog)
        batches[-1].seal()

    tallies = [tally for batch in batches for tally in batch.entry.tallies.values()]
    assert sum(tally.readings() for tally in tallies) == len(payloads)
    assert sum(tally.stored for tally in tallies) == sum(len(batch.points) for batch in batches)
    letters = [letter for batch in batches for letter in batch.entry.letters]
    assert sum(letter.readings for letter in letters) == sum(tally.dead for tally in tallies)
    assert sum(len(mids) for batch in batches for _, mids in batch.mids()) == len(payloads)
