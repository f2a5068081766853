"""Turns what is known of one device into what its page shows. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from cloud.dashboard.alerts_view import Alerts
from cloud.dashboard.charts_view import RANGES_MS, Chart, metric_charts, range_name, step_ms
from cloud.dashboard.fleet_view import Cell, FleetFacts, cell_of, newest_ms, presence_of
from cloud.dashboard.presence import Shown
from wire.events import AlertNotice
from wire.ids import DeviceKey

_MAX_CHARTS = 24
_MAX_PAST = 20


class DeviceView(NamedTuple):
    """A device: its presence, its charts over a range, its values, its alerts."""

    key: DeviceKey
    state: Shown
    newest_ms: int | None
    ranges: Sequence[str]
    range: str
    range_ms: int
    step_ms: int
    charts: list[Chart]
    more_charts: int
    cells: list[Cell]
    open_alerts: list[AlertNotice]
    past_alerts: list[AlertNotice]


def device_view(
    key: DeviceKey, facts: FleetFacts, *, alerts: Alerts, wanted_range: str | None
) -> DeviceView:
    """Return the view of a device; an unknown range is the default one."""
    latest = facts.latest.get(key, [])
    charts = metric_charts(latest)
    chosen = range_name(wanted_range)
    return DeviceView(
        key=key,
        state=presence_of(key, facts),
        newest_ms=newest_ms(latest),
        ranges=tuple(RANGES_MS),
        range=chosen,
        range_ms=RANGES_MS[chosen],
        step_ms=step_ms(RANGES_MS[chosen]),
        charts=charts[:_MAX_CHARTS],
        more_charts=max(0, len(charts) - _MAX_CHARTS),
        cells=[cell_of(point) for point in latest],
        open_alerts=alerts.open,
        past_alerts=alerts.past[:_MAX_PAST],
    )
