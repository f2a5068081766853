"""One device: its charts, its values, where its readings went, its alerts."""

from typing import Any

from cloud.dashboard.alerts_view import sort_alerts
from cloud.dashboard.device_view import device_view
from cloud.dashboard.fleet_view import FleetFacts
from cloud.dashboard.ledger_view import ledger_view
from cloud.dashboard.needs import FleetPresence, FleetRegistry, Ledger, PageRequest
from cloud.dashboard.pages import Frame, frame_of, live_filter, page
from cloud.dashboard.presence import limits_of
from cloud.dashboard.sparkline import Window
from cloud.settings import Settings
from cloud.timeseries.port import Latest, StoreAway, TimeSeries
from tidegate.contract import Context
from wire.ids import DeviceId, DeviceKey, TenantId
from wire.records import ALERTS

config = {
    "type": "api",
    "name": "ShowDevice",
    "method": "GET",
    "path": "/devices/:tenant/:device",
    "middleware": ["pageMiddleware"],
    "emits": [],
}


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
    view = device_view(
        key,
        facts,
        alerts=sort_alerts(await ctx.state.get_group(ALERTS), key),
        wanted_range=req.query_params.get("range"),
    )
    return page(
        "device.html",
        frame,
        here="",
        live_filter=live_filter(key),
        store_away=away,
        ledger=ledger_view(await ledger.view(key)),
        **view._asdict(),
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
