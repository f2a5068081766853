"""Which devices are offline: silence, last wills, restarts of the platform."""

from typing import NamedTuple

import pytest

from cloud.alerts.offline import Clock, Watch, is_offline, watched
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
        (_Sight(None), None),
    ],
)
def test_is_offline_judges_silence_and_last_wills(sight: _Sight, *, verdict: bool | None) -> None:
    """Silence counts after the rule's time, a last will at once, ignorance not at all."""
    clock = Clock(_NOW, 0)

    assert is_offline(_RULE, sight, waiting_since_ms=_NOW - 10, clock=clock) is verdict


def test_is_offline_gives_devices_time_after_the_platform_was_away() -> None:
    """Silence while we did not listen counts for nothing, and what was true stays."""
    long_silent = _Sight(_NOW - 500_000)

    just_back = is_offline(_RULE, long_silent, waiting_since_ms=0, clock=Clock(_NOW, _NOW - 5_000))
    back_for_long = is_offline(
        _RULE, long_silent, waiting_since_ms=0, clock=Clock(_NOW, _NOW - 60_001)
    )

    assert just_back is None
    assert back_for_long is True


def test_is_offline_counts_waiting_when_memory_was_lost() -> None:
    """A device that was heard before a restart is offline when it does not come back in time."""
    clock = Clock(_NOW, 0)

    assert is_offline(_RULE, _Sight(None), waiting_since_ms=_NOW - 60_001, clock=clock) is True


def test_watched_leaves_out_devices_that_were_never_heard() -> None:
    """A device that was only registered is not missed."""
    watch = watched(Watch("demo"), {"new": _Sight(None), "old": _Sight(5)}, _NOW)

    assert watch.waiting_since_ms == {"old": 0}


def test_watched_remembers_over_a_restart_and_forgets_unregistered_devices() -> None:
    """After a restart waiting begins once; a device that is no longer registered is dropped."""
    before = Watch("demo", {"here": 0, "gone": 0})

    first = watched(before, {"here": _Sight(None)}, 100)
    second = watched(first, {"here": _Sight(None)}, 200)
    heard = watched(second, {"here": _Sight(300)}, 300)

    assert first.waiting_since_ms == second.waiting_since_ms == {"here": 100}
    assert heard.waiting_since_ms == {"here": 0}


def test_clock_notices_that_the_platform_was_away() -> None:
    """A gap between checks sets since when we listen; the very first check has no gap."""
    first = Clock().tick(1_000, longest_gap_ms=20_000)
    second = first.tick(6_000, longest_gap_ms=20_000)
    third = second.tick(50_000, longest_gap_ms=20_000)

    assert (first.listening_since_ms, second.listening_since_ms) == (0, 0)
    assert third == Clock(50_000, 50_000)
