"""Threshold rules on whole batches: index, bounded state, restart."""

from typing import Any

from cloud.alerts.conditions import Conditions
from cloud.alerts.rules import Scope, ThresholdRule
from wire.events import ConditionChanged
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch


def _series(device: str, metric: str = "temp_c") -> SeriesKey:
    return SeriesKey(TenantId("demo"), DeviceId(device), MetricName(metric))


def _batch(*points: tuple[SeriesKey, int, Value]) -> PointBatch:
    batch = PointBatch()
    for point in points:
        batch.append(*point)
    return batch


def _rule(name: str = "hot", device: str | None = None, *, for_ms: int = 0) -> ThresholdRule:
    scope = Scope("demo", device, "temp_c")
    return ThresholdRule(name, "critical", scope, "temp_c", "above", 90.0, 80.0, for_ms)


def _began(at_ms: int = 5) -> ConditionChanged:
    return ConditionChanged("hot", "demo", "pump", "temp_c", True, "critical", "", at_ms)


class _CountingValues(list[tuple[Value, ...]]):
    """Counts how often the values of single readings are looked up."""

    looked_up = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked_up += 1
        return super().__getitem__(at)


def test_evaluate_reports_only_changes() -> None:
    """A condition is reported when it begins and when it ends, with what was seen."""
    pump = _series("pump")
    conditions = Conditions([_rule()])

    changes = conditions.evaluate(
        _batch((pump, 1, 91.0), (pump, 2, 95.0), (pump, 3, 85.0), (pump, 4, 79.0), (pump, 5, 1.0))
    )

    assert [(change.at_ms, change.holds, change.value) for change in changes] == [
        (1, True, 91.0),
        (4, False, 79.0),
    ]
    assert changes[0].summary == "temp_c is 91.0 °C, above 90.0 °C"
    assert changes[1].summary == "temp_c is back at 79.0 °C (limit 90.0 °C)"


def test_evaluate_keeps_series_and_rules_apart() -> None:
    """Each rule has a state of its own for each series, and applies within its scope only."""
    conditions = Conditions([_rule("all"), _rule("fan-only", "fan")])

    changes = conditions.evaluate(_batch((_series("pump"), 1, 99.0), (_series("fan"), 1, 99.0)))

    assert [(change.rule, change.device) for change in changes] == [
        ("all", "pump"),
        ("all", "fan"),
        ("fan-only", "fan"),
    ]


def test_evaluate_touches_only_readings_whose_metric_has_a_rule() -> None:
    """A big batch without a matching rule costs one pass over the readings and no state."""
    batch = PointBatch([_series("pump", "flow")] * 15_000, [0] * 15_000, [99.0] * 15_000)
    batch.append(_series("pump"), 1, 99.0)
    batch.rows.values = values = _CountingValues(batch.rows.values)

    changes = Conditions([_rule()]).evaluate(batch)

    assert len(changes) == 1
    assert values.looked_up == 1


def test_evaluate_compares_flags_and_leaves_texts_alone() -> None:
    """True counts as 1; a text has no order with a number."""
    flag = ThresholdRule("leak", "info", Scope(metric="leak"), "leak", "above", 0.5, 0.5)
    leak = _series("pump", "leak")

    changes = Conditions([flag]).evaluate(_batch((leak, 1, "wet"), (leak, 2, True)))

    assert [(change.at_ms, change.value) for change in changes] == [(2, 1.0)]


def test_evaluate_after_a_restart_does_not_fire_twice() -> None:
    """A condition that still holds is no change when its alert is open already."""
    conditions = Conditions([_rule()], [_began()])

    assert conditions.evaluate(_batch((_series("pump"), 10, 95.0))) == []


def test_evaluate_after_a_restart_resolves_what_has_cleared() -> None:
    """The next point at or below clear ends an alert of before."""
    conditions = Conditions([_rule()], [_began()])

    changes = conditions.evaluate(_batch((_series("pump"), 10, 79.0)))

    assert [change.holds for change in changes] == [False]


def test_evaluate_after_a_restart_ignores_points_from_before_the_alert() -> None:
    """A late point cannot end an alert that began after it."""
    conditions = Conditions([_rule()], [_began(at_ms=100)])

    assert conditions.evaluate(_batch((_series("pump"), 50, 10.0))) == []


def test_evaluate_forgets_the_longest_unseen_series_beyond_its_bound() -> None:
    """Quiet series are bounded and counted; those with an open alert are never forgotten."""
    conditions = Conditions([_rule()], max_series=2)
    conditions.evaluate(_batch((_series("burning"), 1, 99.0)))

    conditions.evaluate(_batch(*((_series(f"d{at}"), 1, 10.0) for at in range(10))))
    changes = conditions.evaluate(_batch((_series("burning"), 2, 10.0)))

    assert conditions.forgotten >= 8
    assert [(change.device, change.holds) for change in changes] == [("burning", False)]


def test_evaluate_keeps_the_series_that_were_seen_last() -> None:
    """A series that goes on sending keeps its pending `for`, whoever else comes by."""
    conditions = Conditions([_rule(for_ms=10)], max_series=2)
    busy = _series("busy")

    conditions.evaluate(_batch((busy, 0, 99.0), (_series("a"), 0, 1.0), (busy, 5, 99.0)))
    changes = conditions.evaluate(_batch((_series("b"), 0, 1.0), (busy, 10, 99.0)))

    assert [change.device for change in changes] == ["busy"]
