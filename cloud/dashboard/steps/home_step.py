"""The overview: is the site well, what do its devices say, what is wrong."""

from typing import Any, NamedTuple

from cloud.dashboard.alerts_view import newest_reports, sort_alerts
from cloud.dashboard.fleet_view import FleetFacts, by_device, keys_of, numbers_of
from cloud.dashboard.live import LiveHub
from cloud.dashboard.needs import FleetPresence, FleetRegistry, Ledger, PageRequest
from cloud.dashboard.overview import MAX_ROWS, overview
from cloud.dashboard.pages import frame_of, page
from cloud.dashboard.presence import limits_of
from cloud.dashboard.sparkline import Window, narrowed
from cloud.settings import Settings
from cloud.timeseries.port import Latest, Series, SeriesQuery, StoreAway, TimeSeries
from tidegate.contract import Context
from wire.records import ALERTS, REPORTS

config = {
    "type": "api",
    "name": "ShowOverview",
    "method": "GET",
    "path": "/",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
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
    found = await _read(telemetry, window, draw=len(keys) <= MAX_ROWS)
    facts = FleetFacts(
        latest=by_device(found.latest),
        seen=presence.all(),
        history=numbers_of(found.history),
        window=found.window,
        limits=limits_of(settings.alerts.rules),
    )
    totals = ledger.totals()
    reports = newest_reports(await ctx.state.get_group(REPORTS))
    return page(
        "home.html",
        frame,
        here="/",
        store_away=found.store_away,
        rate=live.points_per_s,
        stored=totals.stored,
        in_flight=totals.in_flight,
        dead=totals.dead,
        alerts=sort_alerts(await ctx.state.get_group(ALERTS)).open,
        report=reports[0] if reports else None,
        connect_hint=connect_hint,
        **overview(keys, facts, req.query_params.get("q", "").strip())._asdict(),
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
