"""The overview: is the site well, what do its devices say, what is wrong."""

from typing import Any

from cloud.dashboard.alerts_view import newest_first, sort_alerts
from cloud.dashboard.charts_view import machine_charts
from cloud.dashboard.fleet_view import (
    FleetFacts,
    by_device,
    fleet_rows,
    keys_of,
    numbers_of,
    presence_of,
)
from cloud.dashboard.live import LiveHub
from cloud.dashboard.needs import FleetPresence, FleetRegistry, Ledger, PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.dashboard.presence import limits_of
from cloud.dashboard.sparkline import Window
from cloud.settings import Settings
from cloud.timeseries.port import Latest, Series, SeriesQuery, StoreAway, TimeSeries
from tidegate.contract import Context
from wire.ids import DeviceKey

config = {
    "type": "api",
    "name": "ShowOverview",
    "method": "GET",
    "path": "/",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
LOCAL_TENANT = "local"
_MAX_ROWS = 100
_SPARK_MS, _SPARK_STEP_MS = 900_000, 15_000


async def handler(
    req: PageRequest,
    ctx: Context,
    *,
    telemetry: TimeSeries,
    registry: FleetRegistry,
    presence: FleetPresence,
    ledger: Ledger,
    live: LiveHub,
    settings: Settings,
    connect_hint: str,
) -> dict[str, Any]:
    """Return the overview page; `q` narrows the fleet to names that contain it."""
    frame = frame_of(settings, ctx.now())
    window = Window(frame.now_ms - _SPARK_MS, frame.now_ms, _SPARK_STEP_MS)
    keys = keys_of(registry.devices())
    latest, history, away = await _read(telemetry, window, draw=len(keys) <= _MAX_ROWS)
    facts = FleetFacts(
        latest=by_device(latest),
        seen=presence.all(),
        history=numbers_of(history),
        window=window,
        limits=limits_of(settings.alerts.rules),
    )
    query = req.query_params.get("q", "").strip()
    matching = [key for key in keys if _matches(key, query)]
    machine = _local_machine(keys, facts)
    reports = newest_first(await ctx.state.get_group("reports"), "created_at_ms")
    totals = await ledger.totals()
    return page(
        "home.html",
        frame,
        here="/",
        store_away=away,
        online=sum(presence_of(key, facts) == "online" for key in keys),
        total=len(keys),
        rate=live.points_per_s,
        stored=totals.stored,
        dead=totals.dead,
        alerts=sort_alerts(await ctx.state.get_group("alerts")).open,
        machine=machine,
        machine_charts=machine_charts(facts.latest[machine]) if machine else [],
        query=query,
        rows=fleet_rows(matching[:_MAX_ROWS], facts),
        matching=len(matching),
        report=reports[0] if reports else None,
        connect_hint=connect_hint,
    )


async def _read(
    telemetry: TimeSeries, window: Window, *, draw: bool
) -> tuple[list[Latest], list[Series], bool]:
    """Return latest values, the sparklines' points and whether the store is away."""
    query = SeriesQuery(window.from_ms, window.to_ms, step_ms=window.step_ms)
    try:
        latest = await telemetry.latest()
        return latest, await telemetry.read(query) if draw else [], False
    except StoreAway:
        return [], [], True


def _matches(key: DeviceKey, query: str) -> bool:
    return query.casefold() in f"{key.tenant}/{key.device}".casefold()


def _local_machine(keys: list[DeviceKey], facts: FleetFacts) -> DeviceKey | None:
    """Return the device of the agent on this machine, once it has something to draw."""
    local = (key for key in keys if key.tenant == LOCAL_TENANT)
    return next((key for key in local if machine_charts(facts.latest.get(key, []))), None)
