"""One device: its charts, its values, where its readings went, its alerts."""

from typing import Any

from cloud.dashboard.alerts_view import sort_alerts
from cloud.dashboard.charts_view import RANGES_MS, metric_charts, range_name, step_ms
from cloud.dashboard.fleet_view import FleetFacts, cell_of, newest_ms, presence_of
from cloud.dashboard.ledger_view import ledger_view
from cloud.dashboard.needs import FleetPresence, FleetRegistry, Ledger, PageRequest
from cloud.dashboard.pages import Frame, frame_of, live_filter, page
from cloud.dashboard.presence import limits_of
from cloud.dashboard.sparkline import Window
from cloud.settings import Settings
from cloud.timeseries.port import Latest, StoreAway, TimeSeries
from tidegate.contract import Context
from wire.ids import DeviceId, DeviceKey, TenantId

config = {
    "type": "api",
    "name": "ShowDevice",
    "method": "GET",
    "path": "/devices/:tenant/:device",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_MAX_CHARTS = 24
_MAX_PAST = 20


async def handler(
    req: PageRequest,
    ctx: Context,
    *,
    telemetry: TimeSeries,
    registry: FleetRegistry,
    presence: FleetPresence,
    ledger: Ledger,
    settings: Settings,
) -> dict[str, Any]:
    """Return a device's page; `range` is one of 15m, 1h, 6h, 24h, 7d."""
    frame = frame_of(settings, ctx.now())
    key = DeviceKey(TenantId(req.path_params["tenant"]), DeviceId(req.path_params["device"]))
    if registry.get(key) is None:
        return _unknown(frame, key)
    latest, away = await _latest(telemetry, key)
    facts = FleetFacts(
        latest={key: latest},
        seen=presence.all(),
        history={},
        window=Window(frame.now_ms, frame.now_ms, 1),
        limits=limits_of(settings.alerts.rules),
    )
    alerts = sort_alerts(await ctx.state.get_group("alerts"), key)
    charts = metric_charts(latest)
    chosen = range_name(req.query_params.get("range"))
    return page(
        "device.html",
        frame,
        here="",
        key=key,
        live_filter=live_filter(key),
        store_away=away,
        state=presence_of(key, facts),
        newest_ms=newest_ms(latest),
        ranges=list(RANGES_MS),
        range=chosen,
        range_ms=RANGES_MS[chosen],
        step_ms=step_ms(RANGES_MS[chosen]),
        charts=charts[:_MAX_CHARTS],
        more_charts=max(0, len(charts) - _MAX_CHARTS),
        cells=[cell_of(point) for point in latest],
        ledger=ledger_view(await ledger.view(key)),
        open_alerts=alerts.open,
        past_alerts=alerts.past[:_MAX_PAST],
    )


def _unknown(frame: Frame, key: DeviceKey) -> dict[str, Any]:
    return page(
        "missing.html",
        frame,
        status=404,
        here="",
        title="No such device",
        text=f"{key.tenant} has no device named {key.device}. It registers with its first message.",
        back="/",
        back_text="To the overview",
    )


async def _latest(telemetry: TimeSeries, key: DeviceKey) -> tuple[list[Latest], bool]:
    try:
        return await telemetry.latest(key.tenant, key.device), False
    except StoreAway:
        return [], True
