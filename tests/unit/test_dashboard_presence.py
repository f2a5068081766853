"""Online, stale, offline: what a page says of a device."""

from typing import NamedTuple

import pytest

from cloud.dashboard.presence import Limits, classify, limits_of
from cloud.settings import AlertRule
from wire.ids import DeviceId, DeviceKey, TenantId

LIMITS = Limits(stale_ms=30_000, offline_ms=60_000)
NOW_MS = 1_000_000
PUMP = DeviceKey(TenantId("plant"), DeviceId("pump"))


class Seen(NamedTuple):
    """What is known of one device."""

    last_heard_ms: int | None
    online: bool | None


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        (None, "never heard"),
        (Seen(None, None), "never heard"),
        (Seen(NOW_MS - 30_000, True), "online"),
        (Seen(NOW_MS - 30_001, True), "stale"),
        (Seen(NOW_MS - 60_001, None), "offline"),
        (Seen(NOW_MS - 60_001, True), "offline"),
        (Seen(NOW_MS, False), "offline"),
        (Seen(NOW_MS + 5_000, None), "online"),
    ],
)
def test_classify_goes_by_last_will_then_by_silence(seen: Seen | None, shown: str) -> None:
    """A last will means offline at once, otherwise silence makes stale and then offline."""
    assert classify(seen, NOW_MS, LIMITS) == shown


def test_limits_follow_the_offline_alert() -> None:
    """The page calls a device offline when the alert does, and stale at half of that."""
    rules = [
        AlertRule(name="a", type="offline", after_s=120.0),
        AlertRule(name="b", type="anomaly", after_s=1.0),
    ]

    assert limits_of(rules).of(PUMP) == Limits(60_000, 120_000)
    assert limits_of([]).of(PUMP) == Limits(30_000, 60_000)


def test_limits_of_a_device_come_from_the_rules_that_cover_it() -> None:
    """A stricter rule for one device or one tenant says nothing of the others."""
    limits = limits_of(
        [
            AlertRule(name="all", type="offline", after_s=600.0),
            AlertRule(name="plant", type="offline", tenant="plant", after_s=120.0),
            AlertRule(name="press", type="offline", device="press", after_s=10.0),
        ]
    )
    other = DeviceKey(TenantId("depot"), DeviceId("pump"))
    press = DeviceKey(TenantId("depot"), DeviceId("press"))

    assert [limits.of(key).offline_ms for key in (PUMP, other, press)] == [120_000, 600_000, 10_000]
