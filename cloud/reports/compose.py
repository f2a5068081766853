"""Reads what a report needs: an overview of every device, and the points of those in detail."""

from collections.abc import Sequence

import msgspec

from cloud.reports.model import (
    Completeness,
    DeviceReport,
    Limits,
    ReportModel,
    Samples,
    States,
    alerts_within,
    device_report,
    samples_of,
    stepped_samples,
)
from cloud.reports.period import EVERYTHING, Period, Scope
from cloud.settings import Site
from cloud.timeseries.port import Aggregate, SeriesQuery, TimeSeries
from wire.events import AlertNotice
from wire.ids import DeviceKey, SeriesKey
from wire.messages import Value

_NEEDED: tuple[Aggregate, ...] = ("count", "mean", "min", "max", "last")
_MIN_STEPS = 240
_ROUND_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)

_Overview = dict[DeviceKey, list[Samples]]


class Order(msgspec.Struct, frozen=True):
    """What was ordered: whose data of which period, when (Unix ms), how much at most."""

    period: Period
    made_at_ms: int
    scope: Scope = EVERYTHING
    limits: Limits = Limits()


async def compose(
    store: TimeSeries,
    completeness: Completeness,
    *,
    alerts: Sequence[AlertNotice],
    site: Site,
    order: Order,
) -> ReportModel:
    """Read everything about the order's period; raise the store's `StoreAway` as it comes."""
    within = alerts_within(alerts, order.period, order.scope)
    overview = await _overview(store, order)
    for newest in await store.latest(order.scope.tenant, order.scope.device):
        overview.setdefault(_device_of(newest.key), [])
    detailed = _chosen(list(overview), within, order.limits.devices)
    devices = [
        await _device(store, completeness, order, key=key, known=known, in_detail=key in detailed)
        for key, known in sorted(overview.items())
    ]
    return ReportModel(
        site=site.name,
        timezone=site.timezone,
        period=order.period,
        scope=order.scope,
        made_at_ms=order.made_at_ms,
        devices=devices,
        alerts=within,
        limits=order.limits,
    )


def step_for(period: Period) -> int:
    """Return the step (ms) that cuts a period into 240 to 1,000 parts, a round one if possible."""
    length_ms = period.to_ms - period.from_ms
    fitting = [s * 1000 for s in _ROUND_STEPS_S if length_ms // (s * 1000) >= _MIN_STEPS]
    return max(fitting, default=max(1, length_ms // _MIN_STEPS))


def _chosen(
    keys: Sequence[DeviceKey], alerts: Sequence[AlertNotice], at_most: int
) -> set[DeviceKey]:
    """Choose the devices to show in detail: those with alerts first, then by name."""
    alerting = {(alert.tenant, alert.device) for alert in alerts}
    return set(sorted(keys, key=lambda key: (tuple(key) not in alerting, key))[:at_most])


async def _overview(store: TimeSeries, order: Order) -> _Overview:
    """Return each device's figures over the period: one or two rows a metric, not to be drawn."""
    from_ms, to_ms = order.period
    query = SeriesQuery(from_ms, to_ms, order.scope.tenant, order.scope.device)
    rows = await _stepped(store, query, step_ms=to_ms - from_ms, drawable=False)
    devices: _Overview = {}
    for key, samples in rows.items():
        devices.setdefault(_device_of(key), []).append(samples)
    return devices


async def _device(
    store: TimeSeries,
    completeness: Completeness,
    order: Order,
    *,
    key: DeviceKey,
    known: list[Samples],
    in_detail: bool,
) -> DeviceReport:
    metrics: dict[str, Samples | States] = {samples.metric: samples for samples in known}
    if in_detail:
        metrics |= await _details(store, order, key, known)
    return device_report(
        key,
        list(metrics.values()),
        period=_elapsed(order),
        account=await completeness.view(key),
        in_detail=in_detail,
    )


async def _details(
    store: TimeSeries, order: Order, key: DeviceKey, known: list[Samples]
) -> dict[str, Samples | States]:
    """Return a device's metrics row by row: all points if they are few, else in steps."""
    query = SeriesQuery(order.period.from_ms, order.period.to_ms, key.tenant, key.device)
    if max((sum(s.count) for s in known), default=0) <= order.limits.points:
        return await _raw(store, query, order.limits)
    rows = await _stepped(store, query, step_ms=step_for(order.period), limits=order.limits)
    return {series.metric: samples for series, samples in rows.items()}


async def _raw(
    store: TimeSeries, query: SeriesQuery, limits: Limits
) -> dict[str, Samples | States]:
    limit = limits.points * limits.metrics
    found = await store.read(query, limit=limit)
    if sum(len(series.points) for series in found) >= limit:
        found = found[:-1]  # its end may have been cut off
    columns = {series.key.metric: samples_of(series) for series in found}
    return {metric: samples for metric, samples in columns.items() if samples is not None}


async def _stepped(
    store: TimeSeries,
    query: SeriesQuery,
    *,
    step_ms: int,
    drawable: bool = True,
    limits: Limits | None = None,
) -> dict[SeriesKey, Samples]:
    """Return each numeric series in steps. Series beyond the limits are left out at the end."""
    columns: dict[SeriesKey, dict[Aggregate, list[tuple[int, Value]]]] = {}
    limit = None if limits is None else limits.points * limits.metrics
    for aggregate in _NEEDED:
        stepped = msgspec.structs.replace(query, step_ms=step_ms, aggregate=aggregate)
        for series in await store.read(stepped, limit=limit):
            columns.setdefault(series.key, {})[aggregate] = series.points
    return {
        key: stepped_samples(key.metric, step_ms, columns=found, drawable=drawable)
        for key, found in columns.items()
        if len(found) == len(_NEEDED)
    }


def _elapsed(order: Order) -> Period:
    """Return the part of the period that has passed: what is to come is no gap."""
    from_ms, to_ms = order.period
    return Period(from_ms, max(from_ms + 1, min(to_ms, order.made_at_ms)))


def _device_of(series: SeriesKey) -> DeviceKey:
    return DeviceKey(series.tenant, series.device)
