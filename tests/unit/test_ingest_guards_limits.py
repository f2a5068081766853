"""What the intake refuses beyond its limits, and what it forgets to stay within its own."""

import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cloud.ingest.batch import Batch
from cloud.ingest.intake.bounds import within_retention
from cloud.ingest.intake.devices import Memory
from cloud.ingest.intake.intake import Intake
from cloud.ingest.intake.recent import Recent
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.known import MAX_INTERVALS, Known
from cloud.ingest.ledger.limits import MAX_BOOTS
from cloud.ingest.ledger.spans import MAX_INTERVALS as MAX_INTERVALS_OF_A_BOOT
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.guarded_intakes import fates_of, filled, new_intake, point_of, sent_points
from tests.support.ingestion import Blank
from tests.support.intakes import NOW_MS, PUMP
from wire.ids import DeviceKey, TenantId, metric_name


def test_intake_refuses_a_series_too_many_of_a_device() -> None:
    """The reading that would begin it is dead as a whole; the message's others and known go on."""
    intake = new_intake(max_series_per_device=2)

    batch = filled(
        intake,
        sent_points(
            point_of(1, a=1, b=1), point_of(2, a=1, c=1), point_of(3, b=2), point_of(4, d=1)
        ),
    )

    assert fates_of(batch) == (2, 0, 2, 0)
    assert [key.metric for key in batch.points.series] == ["a", "b", "b"]
    (letter,) = batch.entry.letters
    assert letter.only == [1, 3]
    assert "max_series_per_device" in letter.reason
    assert batch.series_refused == 2
    assert batch.entry.series == [(PUMP, "a"), (PUMP, "b")]


def test_intake_refuses_a_series_too_many_of_a_tenant() -> None:
    """The devices of a tenant share its limit; another tenant has its own."""
    intake = new_intake(max_series_per_tenant=2)
    payload = sent_points(point_of(1, a=1, b=1))

    filled(intake, payload)
    fan = filled(intake, payload, topic=b"t/acme/fan/telemetry")
    other = filled(intake, payload, topic=b"t/other/fan/telemetry")

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

    assert fates_of(filled(intake, sent_points(point_of(1, a=1), point_of(2, b=1)))) == (1, 0, 1, 0)


def test_intake_says_once_a_tenant_what_to_do_about_its_series() -> None:
    """The log names tenant and setting; a tenant that made room is told of anew."""
    intake = new_intake(max_series_per_tenant=1)

    with capture_logs() as told:
        filled(intake, sent_points(point_of(1, a=1), point_of(2, b=1)))
        filled(intake, sent_points(point_of(3, b=1)), topic=b"t/acme/fan/telemetry")
        filled(intake, sent_points(point_of(1, a=1, b=1)), topic=b"t/other/fan/telemetry")
        intake.forget("acme", "pump", series=1)
        filled(intake, sent_points(point_of(4, a=1, b=1)))

    assert [(one["event"], one["tenant"]) for one in told] == [
        ("series.refused", "acme"),
        ("series.refused", "other"),
        ("series.refused", "acme"),
    ]
    assert all("max_series_per_tenant" in one["do"] for one in told)


@pytest.mark.parametrize("device", ["pump", None])
def test_intake_makes_room_for_series_that_are_forgotten(device: str | None) -> None:
    """Whose telemetry was deleted counts no more, and begins its series again when heard again."""
    intake = new_intake(max_series_per_tenant=2)
    payload = sent_points(point_of(1, a=1, b=1))
    filled(intake, payload)

    intake.forget("acme", device, series=2)
    fan = filled(intake, payload, topic=b"t/acme/fan/telemetry")
    pump = filled(intake, sent_points(point_of(2, a=1)))

    assert [tally.stored for tally in fan.entry.tallies.values()] == [1]
    assert fates_of(pump) == (0, 0, 1, 0)
    assert "max_series_per_tenant" in pump.entry.letters[0].reason


def test_intake_begins_forgotten_series_again() -> None:
    """They are told to the ledger as new ones; another tenant's and device's are left alone."""
    intake = new_intake()
    filled(intake, sent_points(point_of(1, a=1)))
    filled(intake, sent_points(point_of(1, a=1)), topic=b"t/acme/fan/telemetry")

    intake.forget("acme", "pump", series=1)
    intake.forget("other", None, series=0)
    pump = filled(intake, sent_points(point_of(2, a=1)))
    fan = filled(intake, sent_points(point_of(2, a=1)), topic=b"t/acme/fan/telemetry")

    assert pump.entry.series == [(PUMP, "a")]
    assert fan.entry.series == []


@pytest.mark.parametrize(
    ("limits", "payload", "reason"),
    [
        ({"max_payload_bytes": 40}, sent_points(point_of(1, t="x" * 40)), "larger than 40 bytes"),
        ({"max_readings": 1}, sent_points(point_of(1), point_of(2)), "more than 1 readings"),
        ({"max_values": 1}, sent_points(point_of(1, a=1, b=2)), "more than 1 values"),
        ({"max_name_chars": 3}, sent_points(point_of(1, long=1)), "longer than 3 characters"),
        ({"max_text_chars": 3}, sent_points(point_of(1, t="long")), "longer than 3 characters"),
        ({}, sent_points(point_of(1, NOW_MS - 3_651 * 86_400_000)), "too old"),
        ({"max_past_days": 1}, sent_points(point_of(1, NOW_MS - 86_400_001)), "more than 1 days"),
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
    intake = new_intake(**limits)

    batch = filled(intake, payload, b'{"boot":"k","seq":9,"values":{"t":1}}')

    assert fates_of(batch) == (1, 0, 1, 0)
    assert reason in batch.entry.letters[0].reason


def test_intake_takes_nothing_from_before_1970() -> None:
    """However old a time may be."""
    batch = filled(new_intake(max_past_days=100_000), sent_points(point_of(1, 0), point_of(2, -1)))

    assert fates_of(batch) == (1, 0, 1, 0)
    assert "before 1970" in batch.entry.letters[0].reason


@pytest.mark.parametrize(
    ("days", "fates"), [(None, (2, 0, 0, 0)), (30, (1, 0, 1, 0)), (9_000, (2, 0, 0, 0))]
)
def test_intake_refuses_what_retention_would_drop(
    days: int | None, fates: tuple[int, int, int, int]
) -> None:
    """What the store would not keep is dead with a reason, not gone without a word."""
    intake = Intake(Blank(), within_retention(Settings(), days))
    old, new = (point_of(seq, NOW_MS - seq * 20 * 86_400_000) for seq in (2, 1))

    assert fates_of(filled(intake, sent_points(old, new))) == fates


def test_intake_takes_a_metric_whose_type_changes() -> None:
    """Numbers, booleans and texts of one metric are stored as what they are."""
    batch = filled(
        new_intake(), sent_points(point_of(1, t=1), point_of(2, t=True), point_of(3, t="on"))
    )

    assert batch.points.values == [1.0, True, "on"]
    assert type(batch.points.values[0]) is float


def test_intake_identity_is_the_topics() -> None:
    """Whatever a payload says of tenant and device, the account is the topic's."""
    payload = json.dumps({"tenant": "x", "device": "y", "values": {"t": 1}}).encode()

    assert list(filled(new_intake(), payload).entry.tallies) == [PUMP]


def test_known_boots_are_bounded() -> None:
    """A device that invents boots, or holes in them, makes room for them itself."""
    intake = new_intake()
    for number in range(3 * MAX_BOOTS):
        filled(intake, *(sent_points(point_of(seq), boot=f"b{number}") for seq in range(1, 400, 2)))

    known = _known(intake)

    assert len(known.boots) <= MAX_BOOTS
    intervals = sum(len(spans.starts) for spans in known.boots.values())
    assert intervals <= MAX_INTERVALS + MAX_INTERVALS_OF_A_BOOT
    assert f"b{3 * MAX_BOOTS - 1}" in known.boots


def _known(intake: Intake) -> Known:
    return intake._devices.known(PUMP, Batch())


def test_known_series_are_bounded() -> None:
    """Invented metrics are remembered up to the limit, not beyond."""
    intake = new_intake(max_series_per_device=50)
    for number in range(500):
        filled(intake, sent_points(point_of(number + 1, **{f"m{number}": 1})))

    assert len(_known(intake).series) == 50


def test_intake_forgets_devices_and_topics_heard_long_ago() -> None:
    """However many devices are heard, so many are remembered; the others are asked for again."""
    intake = Intake(Blank(), Settings(), memory=Memory(devices=100, topics=200))

    for number in range(5_000):
        filled(intake, sent_points(point_of(1)), topic=b"t/acme/d%d/telemetry" % number)
    gc.collect()

    assert len(intake._devices) <= 100
    assert len(intake._sources) <= 200
    assert len(intake._devices._alive) <= 200


def test_intake_does_not_forget_what_is_not_committed() -> None:
    """A device in a batch that is under way is not read from a ledger that does not know it yet."""
    intake = Intake(Blank(), Settings(), memory=Memory(devices=2, topics=2))
    under_way = [filled(intake, sent_points(point_of(1)))]
    topics = [b"t/acme/d%d/telemetry" % number for number in range(10)]
    under_way += [filled(intake, sent_points(point_of(1)), topic=topic) for topic in topics]

    again = filled(intake, sent_points(point_of(1)))

    assert fates_of(again) == (0, 1, 0, 0)


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
