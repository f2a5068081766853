"""The whole way from a stored period to a PDF, for the command line and the steps."""

from collections.abc import Sequence

from cloud.reports.compose import Order, compose
from cloud.reports.model import Completeness
from cloud.reports.pdf import render
from cloud.reports.period import Period, Scope
from cloud.settings import Settings, zone_of
from cloud.timeseries.port import TimeSeries
from wire.events import AlertNotice


async def build_report(
    store: TimeSeries,
    completeness: Completeness,
    alerts: Sequence[AlertNotice],
    settings: Settings,
    *,
    from_ms: int,
    to_ms: int,
    made_at_ms: int,
    tenant: str | None = None,
    device: str | None = None,
) -> bytes:
    """Return the PDF about [from_ms, to_ms) (Unix ms), drawn in a process of its own.

    No tenant or no device means all of them. Drawing may take `settings.reports.timeout_s`.

    Raises:
        StoreAway: the store does not answer; may be retried.
        ReportsUnavailable: PDF libraries are missing; the text says how to install them.
        ReportFailed: drawing took too long or its process died.
        Misconfigured: the site's time zone is unknown.
    """
    zone_of(settings.site.timezone)
    order = Order(Period(from_ms, to_ms), made_at_ms, Scope(tenant, device))
    model = await compose(store, completeness, alerts=alerts, site=settings.site, order=order)
    return await render(model, timeout_s=settings.reports.timeout_s)
