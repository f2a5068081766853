"""What a device may bring, and what is known of it while it does: bounded, whatever it sends."""

import gc
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.bounds import within_retention
from cloud.ingest.intake.intake import Backlog, Intake, Memory
from cloud.ingest.intake.recent import Recent
from cloud.ingest.ledger.accounts import Remembered, Tally
from cloud.ingest.ledger.known import MAX_INTERVALS, Known
from cloud.ingest.ledger.limits import MAX_BOOTS
from cloud.ingest.ledger.spans import MAX_INTERVALS as MAX_INTERVALS_OF_A_BOOT
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.messages import RETAINED, Messages
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.ingestion import Blank
from wire.ids import DeviceKey, TenantId, device_id, metric_name, tenant_id

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_TOPIC = b"t/acme/pump/telemetry"
_NOW_MS = 1_700_000_000_000


def _sent(*points: dict[str, object], boot: str | None = "k") -> bytes:
    return msgspec.json.encode({"boot": boot, "points": points})


def _point(seq: int | None = None, ts: int | None = _NOW_MS, **values: object) -> dict[str, object]:
    return {"seq": seq, "ts": ts, "values": values or {"t": 1.0}}


def _filled(
    intake: Intake,
    *payloads: bytes,
    topic: bytes = _TOPIC,
    flags: int = 0x32,
    at_ms: int = _NOW_MS,
    replay: Replay | None = None,
) -> Batch:
    count = len(payloads)
    messages = Messages([topic] * count, list(payloads), [b"\0\1"] * count, [flags] * count)
    batch, backlog = Batch(), Backlog()
    backlog.chunks.append(Chunk(messages, at_ms, generation=1, replay=replay))
    intake.fill(batch, backlog)
    batch.seal()
    return batch


def _intake(**limits: int) -> Intake:
    return Intake(Blank(), Settings(limits=Limits(**limits)))


def _tally(batch: Batch) -> Tally:
    return batch.entry.tallies[_PUMP]


def _fates(batch: Batch) -> tuple[int, int, int, int]:
    tally = _tally(batch)
    return tally.stored, tally.duplicate, tally.dead, tally.filtered


# Readings without a sequence


def test_intake_recognises_a_reading_by_its_time() -> None:
    """Without boot and sequence the same again is a duplicate; another part or value is not."""
    same, part, other = _point(t=1.0), _point(u=1.0), _point(t=2.0)

    batch = _filled(_intake(), *(_sent(one, boot=None) for one in (same, same, part, other, same)))

    assert _fates(batch) == (3, 2, 0, 0)
    assert batch.points.values == [1.0, 1.0, 2.0]
    assert len(batch.entry.moments) == 3


@pytest.mark.parametrize(("boot", "seq"), [("k", None), (None, 5)])
def test_intake_needs_boot_and_sequence_both(boot: str | None, seq: int | None) -> None:
    """One of the two alone names nothing: the time does."""
    payload = _sent(_point(seq), boot=boot)

    assert _fates(_filled(_intake(), payload, payload)) == (1, 1, 0, 0)


def test_intake_times_of_arrival_recognise_nothing() -> None:
    """A reading without any time is new each time."""
    payload = _sent(_point(ts=None), boot=None)

    assert _fates(_filled(_intake(), payload, payload)) == (2, 0, 0, 0)


def test_intake_refused_reading_is_recognised_by_its_time() -> None:
    """What was dead is a duplicate when it comes again, not dead a second time."""
    payload = _sent(_point(ts=_NOW_MS + 10**9), boot=None)

    batch = _filled(_intake(), payload, payload)

    assert _fates(batch) == (0, 1, 1, 0)
    assert len(batch.entry.letters) == 1


def test_intake_replay_does_not_ask_whether_a_time_was_seen() -> None:
    """It was, when the letter was written."""
    intake = _intake()
    payload = _sent(_point(ts=_NOW_MS + 10**9), boot=None)
    _filled(intake, payload)

    replay = Replay(1, 1, _NOW_MS + 10**9, frozenset({0}), _PUMP)
    batch = _filled(intake, payload, replay=replay)

    assert _fates(batch) == (1, 0, -1, 0)


# Replays that lead elsewhere


def test_intake_letter_of_a_topic_that_became_anothers_stays() -> None:
    """A rule that changed moves no readings from one account to another."""
    replay = Replay(1, 1, _NOW_MS, None, DeviceKey(tenant_id("acme"), device_id("fan")))

    batch = _filled(_intake(), _sent(_point(1)), replay=replay)

    assert batch.entry.closed_letters == []
    assert batch.entry.tallies == {}
    assert batch.entry.letters == []


def test_intake_letter_of_a_topic_that_is_nobodys_stays() -> None:
    """A rule that went away makes no second letter of it."""
    replay = Replay(1, 1, _NOW_MS, None, _PUMP)

    batch = _filled(_intake(), _sent(_point(1)), topic=b"tele/pump/SENSOR", replay=replay)

    assert (batch.entry.closed_letters, batch.entry.letters, batch.foreign) == ([], [], 0)


def test_intake_letter_that_holds_fewer_readings_now_loses_none() -> None:
    """A payload that is read differently by now: what is left of it is filtered, not vanished."""
    replay = Replay(1, 3, _NOW_MS, frozenset({0, 1, 2}), _PUMP)

    batch = _filled(_intake(), _sent(_point(1)), replay=replay)

    assert _fates(batch) == (1, 0, -3, 2)


# Clocks


def test_intake_counts_late_readings() -> None:
    """Late: older than the newest of its boot, or on its way for longer than the tolerance."""
    ages = (0, 60_000, 60_001, 10_000, 200_000)

    batch = _filled(_intake(), *(_sent(_point(n + 1, _NOW_MS - age)) for n, age in enumerate(ages)))

    assert (_tally(batch).stored, _tally(batch).late) == (5, 2)


def test_intake_what_travels_long_is_late() -> None:
    """Also when nothing newer of its boot has come."""
    intake = _intake()

    on_time = _filled(intake, _sent(_point(1, _NOW_MS - 60_000)))
    late = _filled(_intake(), _sent(_point(1, _NOW_MS - 60_001)))

    assert (_tally(on_time).late, _tally(late).late) == (0, 1)


def test_intake_late_is_by_the_devices_clock() -> None:
    """A clock that is an hour behind makes no reading late but those behind the others."""
    intake = _intake()
    behind = _NOW_MS - 3_600_000
    _filled(intake, _sent(_point(1, behind)))

    batch = _filled(intake, *(_sent(_point(n, behind - age)) for n, age in ((2, 0), (3, 61_000))))

    assert _tally(batch).late == 1
    assert _tally(batch).skew_ms == 3_600_000


def test_intake_estimates_the_clock_from_live_readings() -> None:
    """Retained messages, replays and times of arrival say nothing about a clock."""
    intake = _intake()
    old = _sent(_point(ts=_NOW_MS - 5_000), boot=None)

    _filled(intake, old, flags=0x32 | RETAINED)
    _filled(intake, old, replay=Replay(1, 1, _NOW_MS, None, _PUMP))
    none = _filled(intake, _sent(_point(ts=None), boot=None))
    some = _filled(intake, _sent(_point(ts=_NOW_MS - 700), boot=None))

    assert (_tally(none).skew_ms, _tally(some).skew_ms) == (None, 700)


def test_skew_is_not_moved_by_an_outbox_or_a_fault() -> None:
    """The median of samples 10 s apart: few that lie far off change nothing."""
    intake = _intake()
    for second in range(0, 50, 10):
        at_ms = _NOW_MS + second * 1_000
        _filled(intake, _sent(_point(ts=at_ms - 5), boot=None), at_ms=at_ms)

    for tenth in range(200):
        at_ms = _NOW_MS + 3_600_000 + tenth * 100
        batch = _filled(intake, _sent(_point(ts=at_ms - 90_000), boot=None), at_ms=at_ms)

    assert _tally(batch).skew_ms == 5


# Gaps


def test_intake_tells_the_gap_that_was_opened_last() -> None:
    """A hole that is closed in the same batch is none; one that stays is told once."""
    intake = _intake()
    closed = _filled(intake, *(_sent(_point(seq)) for seq in (1, 3, 2)))
    opened = _filled(intake, *(_sent(_point(seq)) for seq in (4, 8)))
    after = _filled(intake, _sent(_point(9)))

    assert _tally(closed).gap is None
    gap = _tally(opened).gap
    assert gap is not None
    assert (gap.boot, gap.first, gap.last, gap.at_ms) == ("k", 5, 7, _NOW_MS)
    assert _tally(after).gap is None


def test_intake_counts_holes_as_they_open_and_close() -> None:
    """What is missing, and what the sender said it lost, add up over batches."""
    intake = _intake()
    declared = b'{"boot":"k","first":7,"points":[{"seq":10,"values":{"t":1}}]}'

    entries = [
        _filled(intake, payload).entry
        for payload in (_sent(_point(1)), _sent(_point(5)), _sent(_point(3)), declared)
    ]

    assert [(one.missing, one.declared) for one in entries] == [(0, 0), (3, 0), (-1, 0), (1, 3)]


@given(st.sets(st.integers(1, 30), min_size=1), st.integers(1, 32))
def test_spans_holes_are_those_of_a_set(seen: set[int], first: int) -> None:
    """Missing and declared, and the last hole, against plain sets."""
    spans = Spans()
    for seq in sorted(seen, key=lambda one: one * 7 % 31):
        spans.add(seq)
    spans.declare_first(first)

    missing = set(range(1, max(seen))) - seen
    assert spans.holes() == (
        sum(one >= first for one in missing),
        sum(one < first for one in missing),
    )
    hole = spans.last_hole()
    below = sorted(missing)
    if hole is not None:
        assert hole[1] == below[-1] == max(seen) - 1 or hole[1] == below[-1]
    else:
        assert max(seen) - 1 in seen or max(seen) == 1


# Limits


def test_intake_refuses_a_series_too_many_of_a_device() -> None:
    """The reading that would begin it is dead as a whole; the message's others and known go on."""
    intake = _intake(max_series_per_device=2)

    batch = _filled(
        intake, _sent(_point(1, a=1, b=1), _point(2, a=1, c=1), _point(3, b=2), _point(4, d=1))
    )

    assert _fates(batch) == (2, 0, 2, 0)
    assert [key.metric for key in batch.points.series] == ["a", "b", "b"]
    (letter,) = batch.entry.letters
    assert letter.only == [1, 3]
    assert "max_series_per_device" in letter.reason
    assert batch.series_refused == 2
    assert batch.entry.series == [(_PUMP, "a"), (_PUMP, "b")]


def test_intake_refuses_a_series_too_many_of_a_tenant() -> None:
    """The devices of a tenant share its limit; another tenant has its own."""
    intake = _intake(max_series_per_tenant=2)
    payload = _sent(_point(1, a=1, b=1))

    _filled(intake, payload)
    fan = _filled(intake, payload, topic=b"t/acme/fan/telemetry")
    other = _filled(intake, payload, topic=b"t/other/fan/telemetry")

    assert [tally.dead for tally in fan.entry.tallies.values()] == [1]
    assert "max_series_per_tenant" in fan.entry.letters[0].reason
    assert [tally.stored for tally in other.entry.tallies.values()] == [1]


def test_intake_counts_the_series_of_earlier_runs() -> None:
    """A restart makes no room: known series go on, new ones are refused."""

    class Full(Blank):
        def recall(self, _device: DeviceKey) -> Remembered:
            return Remembered(metrics=[metric_name("a")])

        def series_of(self, _tenant: TenantId) -> int:
            return 5

    intake = Intake(Full(), Settings(limits=Limits(max_series_per_tenant=5)))

    assert _fates(_filled(intake, _sent(_point(1, a=1), _point(2, b=1)))) == (1, 0, 1, 0)


@pytest.mark.parametrize(
    ("limits", "payload", "reason"),
    [
        ({"max_payload_bytes": 40}, _sent(_point(1, t="x" * 40)), "larger than 40 bytes"),
        ({"max_readings": 1}, _sent(_point(1), _point(2)), "more than 1 readings"),
        ({"max_values": 1}, _sent(_point(1, a=1, b=2)), "more than 1 values"),
        ({"max_name_chars": 3}, _sent(_point(1, long=1)), "longer than 3 characters"),
        ({"max_text_chars": 3}, _sent(_point(1, t="long")), "longer than 3 characters"),
        ({}, _sent(_point(1, _NOW_MS - 3_651 * 86_400_000)), "too old"),
        ({"max_past_days": 1}, _sent(_point(1, _NOW_MS - 86_400_001)), "more than 1 days"),
        ({}, b'{"boot":"k","seq":1,"values":{"t":NaN}}', "not finite"),
        ({}, b'{"boot":"k","seq":1,"values":{"t":1e999}}', "not finite"),
        ({}, b'{"boot":"k","seq":1,"values":{"t":-Infinity}}', "not finite"),
        ({}, b'{"boot":"k","seq":1,"values":{"t":{"u":1}}}', "not valid"),
        ({}, b'{"values":{"t":1},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid"),
        ({}, b"[" * 500_000, "not valid"),
    ],
)
def test_intake_refuses_what_is_beyond_the_limits(
    limits: dict[str, int], payload: bytes, reason: str
) -> None:
    """Every limit has a reason of its own, and costs the next message nothing."""
    intake = _intake(**limits)

    batch = _filled(intake, payload, b'{"boot":"k","seq":9,"values":{"t":1}}')

    assert _fates(batch) == (1, 0, 1, 0)
    assert reason in batch.entry.letters[0].reason


def test_intake_takes_nothing_from_before_1970() -> None:
    """However old a time may be."""
    batch = _filled(_intake(max_past_days=100_000), _sent(_point(1, 0), _point(2, -1)))

    assert _fates(batch) == (1, 0, 1, 0)
    assert "before 1970" in batch.entry.letters[0].reason


@pytest.mark.parametrize(
    ("days", "fates"), [(None, (2, 0, 0, 0)), (30, (1, 0, 1, 0)), (9_000, (2, 0, 0, 0))]
)
def test_intake_refuses_what_retention_would_drop(
    days: int | None, fates: tuple[int, int, int, int]
) -> None:
    """What the store would not keep is dead with a reason, not gone without a word."""
    intake = Intake(Blank(), within_retention(Settings(), days))
    old, new = (_point(seq, _NOW_MS - seq * 20 * 86_400_000) for seq in (2, 1))

    assert _fates(_filled(intake, _sent(old, new))) == fates


def test_intake_takes_a_metric_whose_type_changes() -> None:
    """Numbers, booleans and texts of one metric are stored as what they are."""
    batch = _filled(_intake(), _sent(_point(1, t=1), _point(2, t=True), _point(3, t="on")))

    assert batch.points.values == [1.0, True, "on"]
    assert type(batch.points.values[0]) is float


def test_intake_identity_is_the_topics() -> None:
    """Whatever a payload says of tenant and device, the account is the topic's."""
    payload = json.dumps({"tenant": "x", "device": "y", "values": {"t": 1}}).encode()

    assert list(_filled(_intake(), payload).entry.tallies) == [_PUMP]


# Memory


def test_known_boots_are_bounded() -> None:
    """A device that invents boots, or holes in them, makes room for them itself."""
    intake = _intake()
    for number in range(3 * MAX_BOOTS):
        _filled(intake, *(_sent(_point(seq), boot=f"b{number}") for seq in range(1, 400, 2)))

    known = _known(intake)

    assert len(known.boots) <= MAX_BOOTS
    intervals = sum(len(spans.starts) for spans in known.boots.values())
    assert intervals <= MAX_INTERVALS + MAX_INTERVALS_OF_A_BOOT
    assert f"b{3 * MAX_BOOTS - 1}" in known.boots


def _known(intake: Intake) -> Known:
    known = intake._devices.get(_PUMP)
    assert known is not None
    return known


def test_known_series_are_bounded() -> None:
    """Invented metrics are remembered up to the limit, not beyond."""
    intake = _intake(max_series_per_device=50)
    for number in range(500):
        _filled(intake, _sent(_point(number + 1, **{f"m{number}": 1})))

    assert len(_known(intake).series) == 50


def test_intake_forgets_devices_and_topics_heard_long_ago() -> None:
    """However many devices are heard, so many are remembered; the others are asked for again."""
    intake = Intake(Blank(), Settings(), memory=Memory(devices=100, topics=200))

    for number in range(5_000):
        _filled(intake, _sent(_point(1)), topic=b"t/acme/d%d/telemetry" % number)
    gc.collect()

    assert len(intake._devices) <= 100
    assert len(intake._sources) <= 200
    assert len(intake._alive) <= 200


def test_intake_does_not_forget_what_is_not_committed() -> None:
    """A device in a batch that is under way is not read from a ledger that does not know it yet."""
    intake = Intake(Blank(), Settings(), memory=Memory(devices=2, topics=2))
    under_way = [_filled(intake, _sent(_point(1)))]
    topics = [b"t/acme/d%d/telemetry" % number for number in range(10)]
    under_way += [_filled(intake, _sent(_point(1)), topic=topic) for topic in topics]

    again = _filled(intake, _sent(_point(1)))

    assert _fates(again) == (0, 1, 0, 0)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(2, 8))
def test_recent_holds_whoever_was_asked_for_last(keys: list[int], limit: int) -> None:
    """Never more than the limit, and always the last half of it."""
    recent: Recent[int, str] = Recent(limit)
    for key in keys:
        if recent.get(key) is None:
            recent.put(key, str(key))
        assert len(recent) <= max(limit, 2)

    last = list(dict.fromkeys(reversed(keys)))[: limit // 2]
    assert all(recent.get(key) == str(key) for key in last)
