"""All threshold rules on all series: points in, changed conditions out. Does no I/O."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from cloud.alerts import wording
from cloud.alerts.rules import ThresholdRule
from cloud.alerts.threshold import SeriesState, observe
from wire.events import ConditionChanged
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch, Shape

_StateKey = tuple[str, SeriesKey]


class Conditions:
    """The state of every (rule, series) pair that has been seen.

    `holding` are the beginnings, told before the last stop, that nothing has ended yet.
    Pairs whose condition holds are kept until it ceases: each of them is an open alert that
    only they can resolve. The others are bounded by `max_series`; the longest unseen one is
    forgotten first and counted in `forgotten`, which costs it a pending `for`.
    """

    def __init__(
        self,
        rules: Sequence[ThresholdRule],
        holding: Iterable[ConditionChanged] = (),
        *,
        max_series: int = 100_000,
    ) -> None:
        self.forgotten = 0
        self._max_series = max_series
        self._rules_of_metric: dict[str, list[ThresholdRule]] = {}
        for rule in rules:
            self._rules_of_metric.setdefault(rule.metric, []).append(rule)
        self._holding: dict[_StateKey, SeriesState] = {}
        self._quiet: OrderedDict[_StateKey, SeriesState] = OrderedDict()
        self._restore({rule.name for rule in rules}, holding)

    def evaluate(self, points: PointBatch) -> list[ConditionChanged]:
        """Take the points in their order; return what began or ceased to hold, in that order."""
        rows = points.rows
        places = {shape: self._places(shape) for shape in set(rows.shapes)}
        # The one pass over every stored reading: a lookup each.
        matching = [at for at, shape in enumerate(rows.shapes) if places[shape]]
        changes: list[ConditionChanged] = []
        for at in matching:
            shape, ts_ms, values = rows.shapes[at], rows.ts_ms[at], rows.values[at]
            for place in places[shape]:
                value = _number(values[place])
                if value is not None:
                    changes.extend(self._observe(shape.series[place], ts_ms, value))
        return changes

    def _places(self, shape: Shape) -> list[int]:
        """Return where a reading has values whose metric has a rule."""
        index = self._rules_of_metric
        return [place for place, key in enumerate(shape.series) if key.metric in index]

    def _observe(self, series: SeriesKey, ts_ms: int, value: float) -> Iterator[ConditionChanged]:
        for rule in self._rules_of_metric[series.metric]:
            if not rule.scope.covers(*series):
                continue
            state = self._state(rule, series, ts_ms)
            if observe(rule, state, ts_ms, value):
                self._file((rule.name, series), state)
                yield _change(rule, series, ts_ms, value=value, holds=state.holds)

    def _state(self, rule: ThresholdRule, series: SeriesKey, ts_ms: int) -> SeriesState:
        key = (rule.name, series)
        state = self._holding.get(key) or self._quiet.get(key)
        if state is None:
            state = self._quiet[key] = SeriesState(ts_ms)
            self._forget_surplus()
        elif not state.holds:
            self._quiet.move_to_end(key)
        return state

    def _file(self, key: _StateKey, state: SeriesState) -> None:
        """Move a changed state to where it belongs now."""
        if state.holds:
            self._holding[key] = self._quiet.pop(key)
        else:
            self._quiet[key] = self._holding.pop(key)
            self._forget_surplus()

    def _forget_surplus(self) -> None:
        while len(self._quiet) > self._max_series:
            self._quiet.popitem(last=False)
            self.forgotten += 1

    def _restore(self, names: set[str], holding: Iterable[ConditionChanged]) -> None:
        for began in holding:
            if began.rule in names:
                series = SeriesKey(
                    TenantId(began.tenant), DeviceId(began.device), MetricName(began.metric)
                )
                self._holding[(began.rule, series)] = SeriesState(began.at_ms, holds=True)


def _number(value: Value) -> float | None:
    """Return what can be compared with a threshold; a text can not, a flag counts as 0 or 1."""
    return None if isinstance(value, str) else float(value)


def _change(
    rule: ThresholdRule, series: SeriesKey, ts_ms: int, *, value: float, holds: bool
) -> ConditionChanged:
    return ConditionChanged(
        rule=rule.name,
        tenant=series.tenant,
        device=series.device,
        metric=series.metric,
        holds=holds,
        severity=rule.severity,
        summary=wording.threshold(rule, value, holds=holds),
        at_ms=ts_ms,
        value=value,
    )
