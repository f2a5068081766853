"""An alert begins once, ends once, and keeps its identity."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts.lifecycle import advance, alert_id, alert_id_of
from wire.events import AlertNotice, ConditionChanged


def _change(*, holds: bool, at_ms: int = 1_000, value: float | None = 95.0) -> ConditionChanged:
    return ConditionChanged(
        "hot", "demo", "pump", "temp_c", holds, "critical", f"holds: {holds}", at_ms, value
    )


def test_advance_fires_when_the_condition_begins() -> None:
    """The first that holds makes an alert which says when it began."""
    alert = advance(None, _change(holds=True))

    assert alert is not None
    assert (alert.status, alert.started_at_ms, alert.ended_at_ms) == ("firing", 1_000, None)
    assert alert.alert_id == alert_id("hot", "demo", "pump", "temp_c")


def test_advance_does_not_tell_again_what_goes_on() -> None:
    """A repeated beginning changes nothing."""
    alert = advance(None, _change(holds=True))

    assert advance(alert, _change(holds=True, at_ms=2_000)) is None


def test_advance_resolves_with_start_and_end() -> None:
    """The end carries when the alert began and when it ended."""
    alert = advance(None, _change(holds=True))

    resolved = advance(alert, _change(holds=False, at_ms=9_000))

    assert resolved is not None
    assert (resolved.status, resolved.started_at_ms, resolved.ended_at_ms) == (
        "resolved",
        1_000,
        9_000,
    )


def test_advance_ignores_an_end_without_a_beginning() -> None:
    """Nothing is resolved that never fired, nor twice."""
    assert advance(None, _change(holds=False)) is None

    resolved = advance(advance(None, _change(holds=True)), _change(holds=False))
    assert advance(resolved, _change(holds=False)) is None


def test_advance_fires_anew_under_the_same_identity() -> None:
    """The next episode is the same alert with a new beginning and no end."""
    resolved = advance(advance(None, _change(holds=True)), _change(holds=False, at_ms=2_000))

    again = advance(resolved, _change(holds=True, at_ms=3_000))

    assert again is not None
    assert resolved is not None
    assert again.alert_id == resolved.alert_id
    assert (again.started_at_ms, again.ended_at_ms) == (3_000, None)


def test_alert_id_differs_when_any_part_does() -> None:
    """Parts cannot run into each other."""
    assert alert_id("a", "b", "c", "d") != alert_id("a", "bc", "", "d")
    assert len({alert_id(*parts) for parts in ("abcd", "abdc", "acbd", "bacd")}) == 4


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10_000)), max_size=40))
def test_advance_tells_beginnings_and_ends_in_turn(changes: list[tuple[bool, int]]) -> None:
    """Whatever arrives, in whatever order: fired and resolved alternate; no end before a start."""
    alert: AlertNotice | None = None
    told: list[AlertNotice] = []
    for holds, at_ms in changes:
        after = advance(alert, _change(holds=holds, at_ms=at_ms))
        if after is not None:
            alert = after
            told.append(after)

    statuses = [notice.status for notice in told]
    assert statuses == ["firing" if at % 2 == 0 else "resolved" for at in range(len(told))]
    assert all((n.ended_at_ms or n.started_at_ms) >= n.started_at_ms for n in told)
    assert {notice.alert_id for notice in told} <= {alert_id_of(_change(holds=True))}
