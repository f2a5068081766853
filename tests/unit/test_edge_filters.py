"""Deadband and heartbeat of the agent's filters."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.filters import Deadband, Filter


def test_deadband_without_filters_passes_everything() -> None:
    """Filters are off by default."""
    deadband = Deadband([])

    assert deadband.apply({"a": 1.0}, 0.0) == {"a": 1.0}
    assert deadband.apply({"a": 1.0}, 0.1) == {"a": 1.0}
    assert deadband.suppressed == 0


def test_deadband_measures_from_the_last_value_sent() -> None:
    """A slow drift is sent once it has gone far enough from what was sent."""
    deadband = Deadband([Filter("level", deadband=1.0, heartbeat_s=1_000.0)])

    sent = [deadband.apply({"level": 10 + step * 0.4}, float(step)) for step in range(7)]

    assert [bool(values) for values in sent] == [True, False, False, True, False, False, True]
    assert deadband.suppressed == 4


def test_deadband_heartbeat_sends_an_unchanged_value() -> None:
    """An unchanged value is sent again when the heartbeat is due."""
    deadband = Deadband([Filter("*", heartbeat_s=10.0)])

    sent = [bool(deadband.apply({"a": 1.0}, float(at_s))) for at_s in (0, 9, 10, 19, 20)]

    assert sent == [True, False, True, False, True]


def test_deadband_sends_any_change_of_text_and_truth() -> None:
    """What is not a number is sent when it differs."""
    deadband = Deadband([Filter("*", deadband=5.0)])
    deadband.apply({"mode": "auto", "ok": True}, 0.0)

    assert deadband.apply({"mode": "auto", "ok": False}, 1.0) == {"ok": False}


def test_first_matching_filter_decides() -> None:
    """A narrow pattern before a wide one wins."""
    deadband = Deadband([Filter("cpu_0", deadband=0.0), Filter("cpu_*", deadband=50.0)])
    deadband.apply({"cpu_0": 1.0, "cpu_1": 1.0}, 0.0)

    assert deadband.apply({"cpu_0": 2.0, "cpu_1": 2.0}, 1.0) == {"cpu_0": 2.0}


@given(st.lists(st.floats(-100, 100), min_size=1), st.floats(0, 20))
def test_deadband_receiver_is_never_off_by_more(values: list[float], width: float) -> None:
    """What the receiver last saw differs from the truth by at most the deadband."""
    deadband = Deadband([Filter("a", deadband=width, heartbeat_s=1e9)])
    seen = 0.0

    for at_s, value in enumerate(values):
        seen = float(deadband.apply({"a": value}, float(at_s)).get("a", seen))
        assert abs(seen - value) <= width
