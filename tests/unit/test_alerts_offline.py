"""Which devices are offline: silence, last wills, restarts of the platform."""

from typing import NamedTuple

import pytest

from cloud.alerts.lifecycle import alert_id_of
from cloud.alerts.offline import Clock, Watch, changes, is_offline, watched
from cloud.alerts.rules import OfflineRule, Scope

_RULE = OfflineRule("silent", "warning", Scope(), 60_000)
_NOW = 1_000_000


class _Sight(NamedTuple):
    last_heard_ms: int | None
    online: bool | None = None


@pytest.mark.parametrize(
    ("sight", "verdict"),
    [
        (_Sight(_NOW - 60_000), False),
        (_Sight(_NOW - 60_001), True),
        (_Sight(_NOW - 60_001, online=True), True),
        (_Sight(_NOW - 1, online=False), True),
        (_Sight(None, online=False), True),
        (_Sight(None), True),
    ],
)
def test_is_offline_judges_silence_and_last_wills(sight: _Sight, *, verdict: bool) -> None:
    """Silence counts after the rule's time, a last will at once."""
    assert is_offline(_RULE, sight, Clock(_NOW, _NOW - 500_000)) is verdict


@pytest.mark.parametrize("sight", [_Sight(_NOW - 500_000), _Sight(None)])
def test_is_offline_gives_devices_time_after_the_platform_was_away(sight: _Sight) -> None:
    """Silence while we did not listen counts for nothing, and what was true stays."""
    just_back = is_offline(_RULE, sight, Clock(_NOW, _NOW - 60_000))
    back_for_long = is_offline(_RULE, sight, Clock(_NOW, _NOW - 60_001))

    assert just_back is None
    assert back_for_long is True


def test_watched_leaves_out_devices_that_were_never_heard() -> None:
    """A device that was only registered is not missed, whatever its broker says of it."""
    seen = {"new": _Sight(None), "old": _Sight(5), "will": _Sight(None, online=False)}

    assert watched(Watch("demo"), seen).devices == ["old"]


def test_watched_remembers_over_a_restart_and_forgets_unregistered_devices() -> None:
    """Presence may forget a device, the watch does not; one that is not registered is dropped."""
    before = Watch("demo", ["gone", "here"])

    assert watched(before, {"here": _Sight(None)}).devices == ["here"]


def test_clock_notices_that_nobody_listened() -> None:
    """A first check, a new process and a gap between checks all begin to listen anew."""
    first = Clock().tick(1_000, listener="a", longest_gap_ms=20_000)
    second = first.tick(6_000, listener="a", longest_gap_ms=20_000)
    restarted = second.tick(11_000, listener="b", longest_gap_ms=20_000)
    resumed = restarted.tick(50_000, listener="b", longest_gap_ms=20_000)

    assert [tick.listening_since_ms for tick in (first, second, restarted, resumed)] == [
        1_000,
        1_000,
        11_000,
        50_000,
    ]


def test_changes_says_nothing_that_the_alerts_say_already() -> None:
    """A device that is still offline, or still there, is no event every five seconds."""
    clock = Clock(_NOW, _NOW - 500_000)
    watch = Watch("demo", ["gone", "here"])
    seen = {"gone": _Sight(None), "here": _Sight(_NOW)}

    first = list(changes([_RULE], watch, seen, set(), clock=clock))
    firing = {alert_id_of(change) for change in first}
    second = list(changes([_RULE], watch, seen, firing, clock=clock))

    assert [(change.device, change.holds) for change in first] == [("gone", True)]
    assert second == []
