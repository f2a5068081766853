"""What the intake recognises and what it makes of clocks, gaps and letters of the past."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.inbox import Replay
from cloud.ingest.ledger.spans import Spans
from cloud.ingest.messages import RETAINED
from tests.support.guarded_intakes import (
    fates_of,
    filled,
    new_intake,
    point_of,
    sent_points,
    tally_of,
)
from tests.support.intakes import NOW_MS, PUMP
from wire.ids import DeviceKey, device_id, tenant_id


def test_intake_recognises_a_reading_by_its_time() -> None:
    """Without boot and sequence the same again is a duplicate; another part or value is not."""
    same, part, other = point_of(t=1.0), point_of(u=1.0), point_of(t=2.0)

    batch = filled(
        new_intake(), *(sent_points(one, boot=None) for one in (same, same, part, other, same))
    )

    assert fates_of(batch) == (3, 2, 0, 0)
    assert batch.points.values == [1.0, 1.0, 2.0]
    assert len(batch.entry.moments) == 3


@pytest.mark.parametrize(("boot", "seq"), [("k", None), (None, 5)])
def test_intake_needs_boot_and_sequence_both(boot: str | None, seq: int | None) -> None:
    """One of the two alone names nothing: the time does."""
    payload = sent_points(point_of(seq), boot=boot)

    assert fates_of(filled(new_intake(), payload, payload)) == (1, 1, 0, 0)


def test_intake_times_of_arrival_recognise_nothing() -> None:
    """A reading without any time is new each time."""
    payload = sent_points(point_of(ts=None), boot=None)

    assert fates_of(filled(new_intake(), payload, payload)) == (2, 0, 0, 0)


def test_intake_refused_reading_is_recognised_by_its_time() -> None:
    """What was dead is a duplicate when it comes again, not dead a second time."""
    payload = sent_points(point_of(ts=NOW_MS + 10**9), boot=None)

    batch = filled(new_intake(), payload, payload)

    assert fates_of(batch) == (0, 1, 1, 0)
    assert len(batch.entry.letters) == 1


def test_intake_replay_does_not_ask_whether_a_time_was_seen() -> None:
    """It was, when the letter was written."""
    intake = new_intake()
    payload = sent_points(point_of(ts=NOW_MS + 10**9), boot=None)
    filled(intake, payload)

    replay = Replay(1, 1, NOW_MS + 10**9, frozenset({0}), PUMP)
    batch = filled(intake, payload, replay=replay)

    assert fates_of(batch) == (1, 0, -1, 0)


def test_intake_letter_of_a_topic_that_became_anothers_stays() -> None:
    """A rule that changed moves no readings from one account to another."""
    replay = Replay(1, 1, NOW_MS, None, DeviceKey(tenant_id("acme"), device_id("fan")))

    batch = filled(new_intake(), sent_points(point_of(1)), replay=replay)

    assert batch.entry.closed_letters == []
    assert batch.entry.tallies == {}
    assert batch.entry.letters == []


def test_intake_letter_of_a_topic_that_is_nobodys_stays() -> None:
    """A rule that went away makes no second letter of it."""
    replay = Replay(1, 1, NOW_MS, None, PUMP)

    batch = filled(new_intake(), sent_points(point_of(1)), topic=b"tele/pump/SENSOR", replay=replay)

    assert (batch.entry.closed_letters, batch.entry.letters, batch.foreign) == ([], [], 0)


def test_intake_letter_that_holds_fewer_readings_now_loses_none() -> None:
    """A payload that is read differently by now: what is left of it is filtered, not vanished."""
    replay = Replay(1, 3, NOW_MS, frozenset({0, 1, 2}), PUMP)

    batch = filled(new_intake(), sent_points(point_of(1)), replay=replay)

    assert fates_of(batch) == (1, 0, -3, 2)


def test_intake_counts_late_readings() -> None:
    """Late: older than the newest of its boot, or on its way for longer than the tolerance."""
    ages = (0, 60_000, 60_001, 10_000, 200_000)

    batch = filled(
        new_intake(), *(sent_points(point_of(n + 1, NOW_MS - age)) for n, age in enumerate(ages))
    )

    assert (tally_of(batch).stored, tally_of(batch).late) == (5, 2)


def test_intake_what_travels_long_is_late() -> None:
    """Also when nothing newer of its boot has come."""
    intake = new_intake()

    on_time = filled(intake, sent_points(point_of(1, NOW_MS - 60_000)))
    late = filled(new_intake(), sent_points(point_of(1, NOW_MS - 60_001)))

    assert (tally_of(on_time).late, tally_of(late).late) == (0, 1)


def test_intake_late_is_by_the_devices_clock() -> None:
    """A clock that is an hour behind makes no reading late but those behind the others."""
    intake = new_intake()
    behind = NOW_MS - 3_600_000
    filled(intake, sent_points(point_of(1, behind)))

    batch = filled(
        intake, *(sent_points(point_of(n, behind - age)) for n, age in ((2, 0), (3, 61_000)))
    )

    assert tally_of(batch).late == 1
    assert tally_of(batch).skew_ms == 3_600_000


def test_intake_estimates_the_clock_from_live_readings() -> None:
    """Retained messages, replays and times of arrival say nothing about a clock."""
    intake = new_intake()
    old = sent_points(point_of(ts=NOW_MS - 5_000), boot=None)

    filled(intake, old, flags=0x32 | RETAINED)
    filled(intake, old, replay=Replay(1, 1, NOW_MS, None, PUMP))
    none = filled(intake, sent_points(point_of(ts=None), boot=None))
    some = filled(intake, sent_points(point_of(ts=NOW_MS - 700), boot=None))

    assert (tally_of(none).skew_ms, tally_of(some).skew_ms) == (None, 700)


def test_skew_is_not_moved_by_an_outbox_or_a_fault() -> None:
    """The median of samples 10 s apart: few that lie far off change nothing."""
    intake = new_intake()
    for second in range(0, 50, 10):
        at_ms = NOW_MS + second * 1_000
        filled(intake, sent_points(point_of(ts=at_ms - 5), boot=None), at_ms=at_ms)

    for tenth in range(200):
        at_ms = NOW_MS + 3_600_000 + tenth * 100
        batch = filled(intake, sent_points(point_of(ts=at_ms - 90_000), boot=None), at_ms=at_ms)

    assert tally_of(batch).skew_ms == 5


def test_intake_tells_the_gap_that_was_opened_last() -> None:
    """A hole that is closed in the same batch is none; one that stays is told once."""
    intake = new_intake()
    closed = filled(intake, *(sent_points(point_of(seq)) for seq in (1, 3, 2)))
    opened = filled(intake, *(sent_points(point_of(seq)) for seq in (4, 8)))
    after = filled(intake, sent_points(point_of(9)))

    assert tally_of(closed).gap is None
    gap = tally_of(opened).gap
    assert gap is not None
    assert (gap.boot, gap.first, gap.last, gap.at_ms) == ("k", 5, 7, NOW_MS)
    assert tally_of(after).gap is None


def test_intake_counts_holes_as_they_open_and_close() -> None:
    """What is missing, and what the sender said it lost, add up over batches."""
    intake = new_intake()
    declared = b'{"boot":"k","first":7,"points":[{"seq":10,"values":{"t":1}}]}'

    entries = [
        filled(intake, payload).entry
        for payload in (
            sent_points(point_of(1)),
            sent_points(point_of(5)),
            sent_points(point_of(3)),
            declared,
        )
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
