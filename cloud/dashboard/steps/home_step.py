"""The overview: is the site well, what do its devices say, what is wrong."""

from typing import Any, NamedTuple

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
from cloud.dashboard.sparkline import Window, narrowed
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
_SPARK_MS, _SPARK_STEP_MS, _FINE_STEP_MS = 900_000, 15_000, 2_000


class _Found(NamedTuple):
    """What the store answered: `window` is the time that `history` covers."""

    latest: list[Latest]
    history: list[Series]
    window: Window
    store_away: bool = False


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
    found = await _read(telemetry, window, draw=len(keys) <= _MAX_ROWS)
    facts = FleetFacts(
        latest=by_device(found.latest),
        seen=presence.all(),
        history=numbers_of(found.history),
        window=found.window,
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
        store_away=found.store_away,
        online=sum(presence_of(key, facts) == "online" for key in keys),
        total=len(keys),
        rate=live.points_per_s,
        stored=totals.stored,
        dead=totals.dead,
        alerts=sort_alerts(await ctx.state.get_group("alerts")).open,
        machine=machine,
        machine_charts=machine_charts(facts.latest[machine]) if machine else [],
        query=query,
        spark_ms=found.window.to_ms - found.window.from_ms,
        rows=fleet_rows(matching[:_MAX_ROWS], facts),
        matching=len(matching),
        report=reports[0] if reports else None,
        connect_hint=connect_hint,
    )


async def _read(telemetry: TimeSeries, window: Window, *, draw: bool) -> _Found:
    """Read latest values and the sparklines' points, which are left out of a large fleet."""
    try:
        latest = await telemetry.latest()
        if not draw:
            return _Found(latest, [], window)
        history = await _history(telemetry, window)
        starts = [series.points[0][0] for series in history if series.points]
        finer = narrowed(window, min(starts, default=None), _FINE_STEP_MS)
        if finer is None:
            return _Found(latest, history, window)
        return _Found(latest, await _history(telemetry, finer), finer)
    except StoreAway:
        return _Found([], [], window, store_away=True)


async def _history(telemetry: TimeSeries, window: Window) -> list[Series]:
    query = SeriesQuery(window.from_ms, window.to_ms, step_ms=window.step_ms)
    return await telemetry.read(query)


def _matches(key: DeviceKey, query: str) -> bool:
    return query.casefold() in f"{key.tenant}/{key.device}".casefold()


def _local_machine(keys: list[DeviceKey], facts: FleetFacts) -> DeviceKey | None:
    """Return the device of the agent on this machine, once it has something to draw."""
    local = (key for key in keys if key.tenant == LOCAL_TENANT)
    return next((key for key in local if machine_charts(facts.latest.get(key, []))), None)
