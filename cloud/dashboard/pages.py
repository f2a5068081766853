"""Renders the pages: templates that escape everything, and the headers that keep them safe."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cloud.dashboard import views
from cloud.dashboard.ledger_view import floor_pct
from cloud.settings import Settings, zone_of
from wire import quantities
from wire.ids import INGEST, DeviceKey

TEMPLATES = Path(__file__).parent / "templates"
HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Frame(NamedTuple):
    """What every page shows around its content."""

    site: str
    zone: tzinfo
    now_ms: int


def frame_of(settings: Settings, now: datetime) -> Frame:
    """Return a page's frame from the site's settings.

    Raises:
        Misconfigured: the site's time zone does not exist.
    """
    return Frame(settings.site.name, zone_of(settings.site.timezone), int(now.timestamp() * 1_000))


def page(template: str, frame: Frame, *, status: int = 200, **data: object) -> dict[str, Any]:
    """Return a rendered page as a step's answer."""
    html = _environment().get_template(template).render(frame=frame, **data)
    return {"status": status, "body": html, "headers": dict(HEADERS)}


def redirect(path: str, *cookies: str) -> dict[str, Any]:
    """Return a 303 to a path of this site, with any number of `Set-Cookie` values."""
    location = quote(path, safe="/?=&%#:;,+@!$'()*~")
    headers: dict[str, Any] = {"Location": location, "Cache-Control": "no-store"}
    if cookies:
        headers["Set-Cookie"] = list(cookies) if len(cookies) > 1 else cookies[0]
    return {"status": 303, "body": None, "headers": headers}


def device_path(tenant: str, device: str) -> str:
    """Return the path of a device's page; names are percent-encoded."""
    return f"/devices/{quote(tenant, safe='')}/{quote(device, safe='')}"


def is_device(tenant: str, device: str) -> bool:
    """Return whether that is a device, with a page: what ingestion says of itself is of none."""
    return (tenant, device) != INGEST


def live_filter(key: DeviceKey) -> str:
    """Return the value of `/live?device=` that narrows the stream to one device."""
    return quote(f"{key.tenant}/{key.device}", safe="")


def report_path(report_id: str) -> str:
    """Return the path that becomes a report's PDF."""
    return f"/api/v1/reports/{quote(report_id, safe='')}.pdf"


def json_attribute(value: object) -> str:
    """Return a value as JSON for a `data-` attribute; the template escapes it."""
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": views.age_text,
        "count": quantities.format_count,
        "data": json_attribute,
        "duration": quantities.duration_text,
        "iso": views.iso_text,
        "floor_pct": floor_pct,
        "label": views.label_of,
        "rate": views.format_rate,
        "ranges": views.range_text,
        "size": quantities.size_text,
        "when": views.when_text,
        "zone": views.zone_text,
    }
    environment.globals |= {
        "device_path": device_path,
        "is_device": is_device,
        "report_path": report_path,
    }
    return environment
