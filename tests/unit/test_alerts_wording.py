"""What alerts say: subjects, times in the site's zone, lengths of time."""

from zoneinfo import ZoneInfo

import pytest

from cloud.alerts import wording
from wire.events import AlertNotice


def _notice(device: str = "pump-03", metric: str = "vibration_mm_per_s") -> AlertNotice:
    return AlertNotice("id", "anomaly", "demo", device, metric, "firing", "info", "", 0)


def test_subject_names_status_rule_and_subject() -> None:
    """One line says what there is to know."""
    assert wording.subject(_notice()) == "[FIRING] anomaly: demo/pump-03 vibration_mm_per_s"


def test_subject_of_an_alert_without_a_metric_ends_with_the_device() -> None:
    """A silent device has no metric."""
    assert wording.subject(_notice(metric="")) == "[FIRING] anomaly: demo/pump-03"


def test_subject_is_one_line_whatever_the_device_is_called() -> None:
    """A line break in a name cannot begin another header."""
    subject = wording.subject(_notice("x\r\nBcc: victim@example.com"))

    assert subject.isprintable()


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-01-31 12:00:00 +00:00 (UTC)"),
        ("Europe/Berlin", "2026-01-31 13:00:00 +01:00 (Europe/Berlin)"),
        ("America/St_Johns", "2026-01-31 08:30:00 -03:30 (America/St_Johns)"),
    ],
)
def test_local_time_shows_the_offset(zone: str, shown: str) -> None:
    """A time without its offset could be read as another one."""
    assert wording.local_time(1_769_860_800_000, ZoneInfo(zone)) == shown
