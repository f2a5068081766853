"""How values, times and ages read."""

from zoneinfo import ZoneInfo

import pytest

from cloud.dashboard.views import (
    age_text,
    format_rate,
    iso_text,
    label_of,
    range_text,
    when_text,
    zone_text,
)
from wire.messages import Value
from wire.quantities import duration_text, format_count, format_value

NOON_MS = 1_795_521_600_000  # 2026-11-24 12:00:00 UTC


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("cpu_used_pct", 7.04, "7.0 %"),
        ("room_c", -0.25, "-0.2 °C"),
        ("memory_bytes", 14_200_000_000.0, "14.2 GB"),
        ("memory_bytes", 512.0, "512 B"),
        ("net_bytes_per_s", 999.4, "999 B/s"),
        ("net_bytes_per_s", 240_000.0, "240 kB/s"),
        ("uptime_s", 187_200.0, "2 d 4 h"),
        ("lag_s", 1.5, "1.50 s"),
        ("power_kw", 44.8989, "44.90 kW"),
        ("cycles", 77_239.0, "77\u202f239"),
        ("tiny", 0.00001, "1.00e-05"),
        ("zero", 0.0, "0"),
        ("door_open", True, "yes"),
        ("mode", "auto", "auto"),
        ("gone", float("nan"), "\N{EN DASH}"),
    ],
)
def test_format_value_has_sensible_digits_and_the_unit(
    metric: str, value: Value, text: str
) -> None:
    """A value reads as a person expects it, with the unit of its metric's name."""
    assert format_value(metric, value) == text


def test_format_value_cuts_a_long_text() -> None:
    """A text longer than 60 characters ends in an ellipsis."""
    shown = format_value("note", "x" * 200)

    assert len(shown) == 60
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("age_ms", "text"),
    [
        (-5_000, "now"),
        (999, "now"),
        (3_000, "3 s ago"),
        (59_999, "59 s ago"),
        (60_000, "1 min ago"),
        (7_300_000, "2 h ago"),
        (200_000_000, "2 d ago"),
    ],
)
def test_age_text_names_the_largest_unit(age_ms: int, text: str) -> None:
    """An age is told by its largest unit, and a device's fast clock never makes it negative."""
    assert age_text(NOON_MS - age_ms, NOON_MS) == text


def test_age_text_of_nothing_is_never() -> None:
    """What never happened has no age."""
    assert age_text(None, NOON_MS) == "never"


def test_times_are_shown_in_the_sites_zone_with_its_name() -> None:
    """A moment reads in local time, and the zone's name and offset are told apart from it."""
    berlin = ZoneInfo("Europe/Berlin")

    assert when_text(NOON_MS, berlin) == "2026-11-24 13:00:00"
    assert zone_text(NOON_MS, berlin) == "Europe/Berlin, UTC+01:00"
    assert zone_text(NOON_MS, ZoneInfo("UTC")) == "UTC"
    assert iso_text(NOON_MS) == "2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("outlet_temperature_c", "outlet temperature"),
        ("network_received_bytes_per_s", "network received"),
        ("door_open", "door open"),
        ("_c", "c"),
        ("Ölstand", "Ölstand"),
        ("_", "_"),
    ],
)
def test_label_of_leaves_the_unit_out(metric: str, label: str) -> None:
    """A label is the metric's name without the unit that its value shows anyway."""
    assert label_of(metric) == label


def test_small_texts() -> None:
    """Counts are grouped, rates have one decimal, ranges end in a remainder."""
    assert format_count(1_284_301) == "1\u202f284\u202f301"
    assert format_rate(44.0) == "44.0"
    assert format_rate(12_345.6) == "12\u202f346"
    assert range_text([(4, 4), (9, 12)]) == "4, 9\N{EN DASH}12"
    assert range_text([(n, n) for n in range(10)], limit=2) == "0, 1 and 8 more"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (450, "0.4 s"),
        (45_000, "45 s"),
        (59_999, "59.9 s"),
        (60_000, "1 min"),
        (90_000, "1 min 30 s"),
        (3_900_000, "1 h 5 min"),
        (273_600_000, "3 d 4 h"),
        (86_405_000, "1 d"),
    ],
)
def test_duration_text_uses_two_units_at_most(ms: int, text: str) -> None:
    """Pages, mails and reports write a span of time in the same way, short enough for a glance."""
    assert duration_text(ms) == text
