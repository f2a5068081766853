"""From the model to a PDF: HTML by Jinja2, typeset by WeasyPrint. Runs in its own process."""

import hashlib
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined

from cloud.reports import figures, period
from cloud.reports.gaps import Gap
from cloud.reports.model import ReportModel, state_of
from cloud.reports.sections import sections_of
from cloud.settings import zone_of
from tidegate.printing.style import Style
from wire.quantities import duration_text

_SHORT_BELOW, _LOST_BELOW = 0.999, 0.95


def typeset(report: ReportModel) -> bytes:
    """Return the report as a tagged PDF (PDF/UA-1)."""
    identity = hashlib.sha256(msgspec.msgpack.encode(report)).digest()[:16]
    return Style(_template("report.css")).pdf(html_of(report), identifier=identity)


def html_of(report: ReportModel) -> str:
    """Return the report's HTML; whatever came from devices and people is escaped."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report, sections=sections_of(report), **_words(report)
    )


def _template(name: str) -> str:
    return files("cloud.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _words(report: ReportModel) -> dict[str, Any]:
    """Return what the template needs to write numbers, times and shares."""
    zone = zone_of(report.timezone)
    at_end = partial(state_of, period=report.period)
    steps = [s.step_ms for device in report.devices for s in device.samples if s.drawable]
    return {
        "range_text": period.period_text(report.period, zone),
        "moment_text": partial(period.moment_text, zone=zone),
        "clock_text": partial(period.clock_text, zone=zone),
        "duration_text": duration_text,
        "percent_text": figures.percent_text,
        "count_text": figures.count_text,
        "state_of": at_end,
        "open_at_end": sum(at_end(alert) == "open" for alert in report.alerts),
        "step_ms": max(steps, default=0),
        "longest_ms": _longest_ms,
        "share_class": _share_class,
    }


def _longest_ms(gaps: Sequence[Gap]) -> int:
    return max(gap.to_ms - gap.from_ms for gap in gaps)


def _share_class(share: float | None) -> str:
    if share is None:
        return "quiet"
    if share < _LOST_BELOW:
        return "lost"
    return "short" if share < _SHORT_BELOW else ""
