"""One threshold rule on one series: breach, `for`, hysteresis. Pure; all times are event time."""

from dataclasses import dataclass

from cloud.alerts.rules import ThresholdRule


@dataclass(slots=True)
class SeriesState:
    """What a rule remembers of one series.

    `breached_since_ms` is the first point of the present run of breaches, while the condition
    does not hold yet; `last_ms` the newest point that was looked at.
    """

    last_ms: int
    breached_since_ms: int | None = None
    holds: bool = False


def observe(rule: ThresholdRule, state: SeriesState, ts_ms: int, value: float) -> bool:
    """Take one point into the state; return True when the condition began or ceased to hold.

    A point older than the newest one changes nothing: it came late, and its time is over. A
    point between limit and clear keeps what is, but ends a run of breaches that waits for
    `for_ms`.
    """
    if ts_ms < state.last_ms:
        return False
    state.last_ms = ts_ms
    if state.holds:
        return _ceases(rule, state, value)
    return _begins(rule, state, ts_ms, value)


def _begins(rule: ThresholdRule, state: SeriesState, ts_ms: int, value: float) -> bool:
    breached = value > rule.limit if rule.side == "above" else value < rule.limit
    if not breached:
        state.breached_since_ms = None
        return False
    if state.breached_since_ms is None:
        state.breached_since_ms = ts_ms
    state.holds = ts_ms - state.breached_since_ms >= rule.for_ms
    return state.holds


def _ceases(rule: ThresholdRule, state: SeriesState, value: float) -> bool:
    cleared = value <= rule.clear if rule.side == "above" else value >= rule.clear
    if cleared:
        state.holds = False
        state.breached_since_ms = None
    return cleared
