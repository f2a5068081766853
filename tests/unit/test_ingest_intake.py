"""From messages to batches: every reading gets exactly one fate."""

import gzip
import itertools
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.batch import Batch, Heard
from cloud.ingest.inbox import Chunk, Replay, Reply
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.ledger.accounts import Remembered, Tally
from cloud.ingest.ledger.file import LedgerAway
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.messages import RETAINED, Messages
from cloud.settings import Ingest as Settings
from cloud.settings import Limits, Topic
from tests.support.ingestion import Blank
from wire.codecs.formats import Format, Formats
from wire.codecs.json import MAX_PAYLOAD_BYTES
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, metric_name, tenant_id
from wire.messages import Decoded, Reading, Refusal, Status
from wire.points import order_of

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_TOPIC = b"t/acme/pump/telemetry"
_NOW_MS = 1_700_000_000_000


def _chunk(*payloads: bytes, topic: bytes = _TOPIC, flags: int = 0x32) -> Chunk:
    count = len(payloads)
    messages = Messages([topic] * count, list(payloads), [b"\0\1"] * count, [flags] * count)
    return Chunk(messages, _NOW_MS, generation=1)


def _reading(seq: int, *, ts: int | None = _NOW_MS, value: object = 1.0, boot: str = "k") -> bytes:
    return msgspec.json.encode({"boot": boot, "seq": seq, "ts": ts, "values": {"t": value}})


def _filled(
    *chunks: Chunk, intake: Intake | None = None, settings: Settings | None = None
) -> Batch:
    batch, backlog = Batch(), Backlog()
    backlog.chunks.extend(chunks)
    (intake or _intake(settings)).fill(batch, backlog)
    batch.seal()
    return batch


def _intake(settings: Settings | None = None) -> Intake:
    return Intake(Blank(), settings or Settings())


def _fates(batch: Batch) -> tuple[int, int, int, int]:
    tally = batch.entry.tallies.get(_PUMP, Tally())
    return tally.stored, tally.duplicate, tally.dead, tally.filtered


def test_intake_stores_points_under_the_topics_device() -> None:
    """Identity comes from the topic alone, whatever the payload says."""
    payload = b'{"tenant":"evil","device":"evil","ts":1700000000000,"values":{"t":1,"ok":true}}'

    batch = _filled(_chunk(payload))

    assert [key[:2] for key in batch.points.series] == [_PUMP, _PUMP]
    assert batch.points.ts_ms == [_NOW_MS, _NOW_MS]
    assert batch.points.values == [1.0, True]
    assert batch.first_seen == [_PUMP]


def test_intake_recognises_a_reading_by_boot_and_seq() -> None:
    """The same sequence of the same boot is a duplicate; of another boot it is not."""
    batch = _filled(_chunk(_reading(1), _reading(1), _reading(2), _reading(1, boot="k2")))

    assert _fates(batch) == (3, 1, 0, 0)
    assert [(reach.boot, reach.seq) for reach in batch.reached] == [("k", 2), ("k2", 1)]


def test_intake_orders_points_by_their_readings_identity() -> None:
    """All values of a reading have its order; without boot and sequence it is 0."""
    nameless = b'{"ts":1700000000000,"values":{"t":1}}'
    two = b'{"boot":"k","seq":3,"ts":1700000000000,"values":{"t":1,"u":2}}'

    batch = _filled(_chunk(nameless, two, _reading(4)))

    expected = [0, order_of("k", 3), order_of("k", 3), order_of("k", 4)]
    assert batch.points.order == expected
    assert batch.part(1, 2).order == expected[1:3]
    batch.reject({1: "no"})
    assert batch.points.order == [0, order_of("k", 4)]


def test_intake_remembers_sequences_of_earlier_runs() -> None:
    """What the ledger says was seen is a duplicate now, and is acknowledged once more."""
    intake = Intake(Blank({"k": Spans([(1, 9)])}), Settings())

    batch = _filled(_chunk(_reading(9)), intake=intake)

    assert _fates(batch) == (0, 1, 0, 0)
    assert batch.reached[0].seq == 9
    assert len(batch.points) == 0


def test_intake_acknowledgement_stops_at_a_hole_unless_declared() -> None:
    """`first` says that nothing earlier will come, so the reach may pass."""
    declared = b'{"boot":"k","seq":7,"first":5,"values":{"t":1}}'

    with_hole = _filled(_chunk(_reading(1), _reading(5), _reading(6)))
    without = _filled(_chunk(_reading(1), _reading(5), _reading(6), declared))

    assert [reach.seq for reach in with_hole.reached] == [1]
    assert [reach.seq for reach in without.reached] == [7]


@pytest.mark.parametrize("payload", [b"junk", b"", b"{}", b"\xff\xfe", b'{"values":{}}'])
def test_intake_buries_what_cannot_be_read(payload: bytes) -> None:
    """An unreadable message is one dead reading, with its bytes and a reason; the rest goes on."""
    batch = _filled(_chunk(_reading(1), payload, _reading(2)))

    assert _fates(batch) == (2, 0, 1, 0)
    letter = batch.entry.letters[0]
    assert (letter.payload, letter.device, letter.topic) == (payload, _PUMP, _TOPIC.decode())
    assert letter.reason


def test_intake_bad_reading_has_its_fate_too() -> None:
    """A refused reading is no hole: the acknowledgement passes it. Twice it is a duplicate."""
    payload = (
        b'{"boot":"k","points":[{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":null}},'
        b'{"seq":3,"ts":99999999999999,"values":{"t":1}},{"seq":4,"values":{"t":4}}]}'
    )

    batch = _filled(_chunk(payload, payload))

    assert _fates(batch) == (2, 4, 2, 0)
    assert [letter.only for letter in batch.entry.letters] == [[1, 2]]
    assert batch.reached[0].seq == 4


@pytest.mark.parametrize(
    ("ts", "fate"),
    [
        (_NOW_MS + 600_000, (1, 0, 0, 0)),
        (_NOW_MS + 600_001, (0, 0, 1, 0)),
        (_NOW_MS - 3_650 * 86_400_000, (1, 0, 0, 0)),
        (_NOW_MS - 3_650 * 86_400_000 - 1, (0, 0, 1, 0)),
        (1_700_000_000, (0, 0, 1, 0)),
        (0, (0, 0, 1, 0)),
        (-1, (0, 0, 1, 0)),
        (2**70, (0, 0, 1, 0)),
    ],
)
def test_intake_refuses_times_that_cannot_be(ts: int, fate: tuple[int, int, int, int]) -> None:
    """More than `max_future_s` ahead, or before `max_past_days`, is dead with a reason."""
    assert _fates(_filled(_chunk(_reading(1, ts=ts)))) == fate


def test_intake_reading_without_time_gets_its_arrival() -> None:
    """Two that arrive in the same millisecond get different times: equal ones overwrite."""
    batch = _filled(_chunk(_reading(1, ts=None), _reading(2, ts=None)))

    assert batch.points.ts_ms == [_NOW_MS, _NOW_MS + 1]


def test_intake_filters_retained_readings_without_time() -> None:
    """A retained message comes with every subscription: without a time it is no news."""
    batch = _filled(_chunk(b'{"values":{"t":1}}', flags=0x32 | RETAINED))

    assert _fates(batch) == (0, 0, 0, 1)


@pytest.mark.parametrize("topic", [b"t/a/b/other", b"t/\xff/b/telemetry", b"x", b"t/a b /c/status"])
def test_intake_buries_foreign_topics(topic: bytes) -> None:
    """A topic that is nobody's becomes a dead letter of nobody."""
    batch = _filled(_chunk(b"{}", topic=topic), _chunk(_reading(1)))

    assert batch.entry.letters[0].device is None
    assert _fates(batch) == (1, 0, 0, 0)
    assert batch.ends == [0, 1]
    assert batch.foreign == 1


def test_intake_counts_channels_that_are_not_ours() -> None:
    """A device's topic that carries neither readings nor a status changes nothing but a count."""
    batch = _filled(_chunk(b"{}", topic=b"t/acme/pump/event"))

    assert (batch.foreign, batch.ends, batch.entry.letters) == (1, [0], [])


def test_intake_status_is_no_reading() -> None:
    """A birth changes presence; something else on the status topic is a letter of 0 readings."""
    topic = b"t/acme/pump/status"

    batch = _filled(_chunk(b'{"state":"online"}', b"junk", topic=topic))

    assert batch.statuses == [Heard(_PUMP, Status("online"), _NOW_MS)]
    assert [letter.readings for letter in batch.entry.letters] == [0]
    assert batch.entry.tallies == {}


def test_intake_retained_status_has_no_time() -> None:
    """What the broker kept from the past was not heard now."""
    topic = b"t/acme/pump/status"

    batch = _filled(_chunk(b'{"state":"online"}', topic=topic, flags=0x32 | RETAINED))

    assert batch.statuses == [Heard(_PUMP, Status("online"), None)]


def test_intake_buries_what_is_too_large_unread() -> None:
    """It is not searched for sequences either; only its beginning is kept, and marked so."""
    point = b'{"seq":1,"values":{"t":1}},'
    payload = b'{"boot":"k","points":[' + point * (2 * MAX_PAYLOAD_BYTES // len(point)) + b"{}]}"

    batch = _filled(_chunk(payload))

    assert _fates(batch) == (0, 0, 1, 0)
    assert batch.touched == {}
    (letter,) = batch.entry.letters
    assert (letter.is_shortened, len(letter.payload)) == (True, 1024)


def test_intake_replay_takes_only_what_was_refused() -> None:
    """A letter's readings move from dead to stored; its good ones are not taken twice."""
    intake = _intake()
    payload = b'{"boot":"k","points":[{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":2}}]}'
    _filled(_chunk(payload), intake=intake)
    chunk = _chunk(payload)
    chunk.replay = Replay(letter_id=7, readings=1, now_ms=_NOW_MS, only=frozenset({1}))

    batch = _filled(chunk, intake=intake)

    assert _fates(batch) == (1, 0, -1, 0)
    assert batch.points.values == [2.0]
    assert batch.entry.closed_letters == [7]


def test_intake_replay_that_cannot_be_read_stays_as_dead_as_it_was() -> None:
    """The new letter stands for as many readings as the old one: the counts do not change."""
    chunk = _chunk(b'{"points":[{"values":')
    chunk.replay = Replay(letter_id=7, readings=3, now_ms=_NOW_MS, only=frozenset({5, 1, 2}))

    batch = _filled(chunk)

    assert _fates(batch) == (0, 0, 0, 0)
    (letter,) = batch.entry.letters
    assert (letter.readings, letter.only) == (3, [1, 2, 5])


def test_intake_fills_up_to_the_limit_and_goes_on_there() -> None:
    """A full batch leaves the rest of a chunk for the next one, nothing lost or twice."""
    intake, backlog = _intake(Settings(batch_readings=3)), Backlog()
    backlog.chunks.extend([_chunk(*map(_reading, range(1, 6))), _chunk(*map(_reading, (6, 7)))])

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
    fan = _chunk(_reading(1), topic=b"t/acme/fan/telemetry")
    backlog.chunks.extend([_chunk(_reading(1)), fan, _chunk(_reading(2))])

    with pytest.raises(LedgerAway):
        intake.fill(batch, backlog)
    intake.fill(batch, backlog)

    assert len(batch.points) == 3
    assert len(batch.ends) == 3
    assert sum(len(mids) for _, mids in batch.mids()) == 3


_SENT = st.one_of(
    st.integers(1, 6).map(_reading),
    st.integers(1, 6).map(lambda seq: _reading(seq, value=None)),
    st.integers(1, 6).map(lambda seq: _reading(seq, ts=-5)),
    st.sampled_from([b"junk", b"{}", b'{"values":{"t":1}}']),
)


@given(st.lists(_SENT, max_size=30), st.integers(1, 5))
def test_intake_every_message_has_one_fate(payloads: list[bytes], limit: int) -> None:
    """Whatever comes in whatever order: the fates add up, and mids come in order of receipt."""
    intake, backlog = _intake(Settings(batch_readings=limit)), Backlog()
    backlog.chunks.append(_chunk(*payloads))
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


def test_batch_rejected_messages_are_taken_out() -> None:
    """What the store refused is dead with its reason; the points of the others stay in order."""
    first = _chunk(_reading(1, value=1.0), _reading(2, value=2.0))
    batch = _filled(first, _chunk(_reading(3, value=3.0), _reading(4, value=4.0)))

    batch.reject({1: "no", 2: "never"})

    assert batch.points.values == [1.0, 4.0]
    assert _fates(batch) == (2, 0, 2, 0)
    reasons = [(letter.reason, letter.payload) for letter in batch.entry.letters]
    assert reasons == [("no", _reading(2, value=2.0)), ("never", _reading(3, value=3.0))]


def test_batch_rejected_readings_are_named_one_by_one() -> None:
    """Duplicates and readings refused earlier are no part of the letter, nor of the answer."""
    points = (
        '{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":null}},{"seq":3,"values":{"t":3}},'
        '{"seq":4,"ts":-1,"values":{"t":4}},{"seq":5,"values":{"t":5}},{"seq":6,"values":{"t":6}}'
    )
    chunk = _chunk(f'{{"boot":"k","points":[{points}]}}'.encode())
    chunk.reply = reply = Reply(anyio.Event())
    batch = _filled(_chunk(_reading(3)), chunk)

    batch.reject({1: "no"})

    assert _fates(batch) == (1, 1, 5, 0)
    assert [letter.only for letter in batch.entry.letters] == [[1, 3], [0, 4, 5]]
    assert [letter.readings for letter in batch.entry.letters] == [2, 3]
    assert [one for one in reply.rejected if one.reason == "no"] == [
        Refusal(index, "no") for index in (0, 4, 5)
    ]
    assert reply.accepted == 1


def test_intake_takes_topics_that_are_not_ours_by_rule() -> None:
    """A rule says whose a topic is and what its payloads are; other topics stay foreign."""
    rule = Topic(topic="tele/{device}/SENSOR", tenant="acme", format="tidegate")
    settings = Settings(topics=[rule])

    batch = _filled(
        _chunk(_reading(1), topic=b"tele/pump/SENSOR"),
        _chunk(_reading(1), topic=b"tele/pump/STATE"),
        _chunk(_reading(2)),
        settings=settings,
    )

    assert _fates(batch) == (2, 0, 0, 0)
    assert batch.foreign == 1


def test_intake_reads_bare_values_by_what_their_topic_says() -> None:
    """The levels that a rule leaves to `#`, and its other names, reach the format."""
    rule = Topic(topic="shellies/{device}/#", tenant="acme", format="shelly")

    batch = _filled(
        _chunk(b"12.5", topic=b"shellies/pump/relay/0/power"),
        _chunk(b"on", topic=b"shellies/pump/relay/0"),
        _chunk(b"true", topic=b"shellies/pump/online"),
        _chunk(b"?", topic=b"shellies/pump/relay/0"),
        settings=Settings(topics=[rule]),
    )

    assert [key.metric for key in batch.points.series] == ["relay:0.power_w", "relay:0"]
    assert batch.points.values == [12.5, True]
    assert _fates(batch) == (2, 0, 1, 1)


def test_intake_refuses_a_rule_whose_topic_lacks_a_name(tmp_path: Path) -> None:
    """A mapping that names metrics after a level of the topic needs that level in the rule."""
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[[metrics]]\npath = ""\nname = "{what}"\n')
    good, bad = (
        Topic(topic=topic, tenant="acme", format="mine")
        for topic in ("x/{device}/{what}", "x/{device}/+")
    )

    batch = _filled(
        _chunk(b"7", topic=b"x/pump/power"), settings=Settings(topics=[good], mappings=[file])
    )

    assert [key.metric for key in batch.points.series] == ["power"]
    with pytest.raises(Malformed, match="needs a topic with"):
        _intake(Settings(topics=[bad], mappings=[file]))


def test_intake_reads_packed_payloads() -> None:
    """What is packed is one payload; what cannot be unpacked is dead with its own bytes."""
    packed = gzip.compress(_reading(1))

    batch = _filled(_chunk(packed, packed[:-1]))

    assert _fates(batch) == (1, 0, 1, 0)
    assert batch.entry.letters[0].payload == packed[:-1]
    assert "cut off" in batch.entry.letters[0].reason


def test_intake_decodes_by_content_type() -> None:
    """Without a rule the sender's content type names the format; letters keep it."""
    other = Format("other", _other, ("application/x-other",))
    intake = Intake(Blank(), Settings(), Formats([other]))
    chunk = _chunk(b"21", b"junk", _reading(1))
    chunk.messages.content_types.update({0: "application/x-other", 1: "application/x-other"})

    batch = _filled(chunk, intake=intake)

    assert _fates(batch) == (2, 0, 1, 0)
    assert [letter.content_type for letter in batch.entry.letters] == ["application/x-other"]


def test_intake_counts_back_from_the_arrival() -> None:
    """A device without a clock says how old a reading is; one of the far future is refused."""
    aged = Format("aged", _aged, ("application/x-aged",))
    intake = Intake(Blank(), Settings(), Formats([aged]))
    chunk = _chunk(b"5000", b"0", b"-600000", b"-600001", str(_NOW_MS + 1).encode())
    chunk.messages.content_types.update(dict.fromkeys(range(5), "application/x-aged"))

    batch = _filled(chunk, intake=intake)

    assert batch.points.ts_ms == [_NOW_MS - 5_000, _NOW_MS, _NOW_MS + 600_000]
    assert _fates(batch) == (3, 0, 2, 0)
    assert ["future" in letter.reason for letter in batch.entry.letters] == [True, False]


def test_intake_filters_a_message_without_a_reading() -> None:
    """It was understood and holds nothing to store: that is its fate."""
    empty = Format("empty", lambda _payload: Decoded([]), ("application/x-empty",))
    intake = Intake(Blank(), Settings(), Formats([empty]))
    chunk = _chunk(b"x", b"x")
    chunk.messages.content_types.update(dict.fromkeys(range(2), "application/x-empty"))

    batch = _filled(chunk, intake=intake)

    assert _fates(batch) == (0, 0, 0, 2)
    assert batch.readings == 2


def _aged(payload: bytes) -> Decoded:
    return Decoded([Reading({metric_name("t"): 1.0}, age_ms=int(payload))])


def _other(payload: bytes) -> Decoded:
    if not payload.isdigit():
        raise Malformed("no number")
    return Decoded([Reading({metric_name("t"): float(payload)})])


def test_intake_keeps_lines_apart_that_differ_in_tags_or_nanoseconds() -> None:
    """Equal series and milliseconds have different orders, the same ones each time."""
    lines = b"m,a=1 f=1 1000001\nm,a=2 f=2 1000001\nm,a=1 f=3 1000002\nm f=4 1000000"
    rule = Topic(topic="lines/{tenant}/{device}", format="line-protocol")
    settings = Settings(topics=[rule], limits=Limits(max_past_days=100_000))
    topic = b"lines/acme/pump"

    batch, again = (_filled(_chunk(lines, topic=topic), settings=settings) for _ in range(2))

    assert set(batch.points.series) == {(*_PUMP, "m.f")}
    assert set(batch.points.ts_ms) == {1}
    assert len(set(batch.points.order)) == 4
    assert batch.points.order == again.points.order
    assert batch.points.order[3] == 0
