"""From the model to a PDF: figures, charts, HTML, typesetting. Runs in a process of its own."""

import base64
import hashlib
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import weasyprint
from jinja2 import Environment, FunctionLoader, StrictUndefined
from weasyprint.text.fonts import FontConfiguration

from cloud.reports import figures, model, period
from cloud.reports.assets import AssetFetcher, template
from cloud.reports.charts import Shade, line_chart
from cloud.reports.gaps import rhythm_of
from cloud.reports.model import DeviceReport, ReportModel, Samples
from cloud.reports.sparkline import sparkline
from cloud.reports.statistics import MetricFigures, figures_of
from wire.events import AlertNotice


class MetricRow(NamedTuple):
    """A metric as the template shows it; images are `data:` addresses."""

    figures: MetricFigures
    trend: str
    chart: str
    alt: str
    alerts: int


class DeviceSection(NamedTuple):
    """A device as the template shows it."""

    report: DeviceReport
    metrics: list[MetricRow]
    alerts: list[AlertNotice]


def typeset(report: ReportModel) -> bytes:
    """Return the report as a tagged PDF (PDF/UA-1)."""
    fetcher = AssetFetcher()
    fonts = FontConfiguration()
    css = weasyprint.CSS(
        string=template("report.css"),
        base_url="asset:",
        url_fetcher=fetcher,
        font_config=fonts,
    )
    page = weasyprint.HTML(string=html_of(report), base_url="asset:", url_fetcher=fetcher)
    pdf: bytes = page.write_pdf(
        stylesheets=[css],
        font_config=fonts,
        pdf_variant="pdf/ua-1",
        pdf_identifier=hashlib.sha256(msgspec.msgpack.encode(report)).digest()[:16],
    )
    return pdf


def html_of(report: ReportModel) -> str:
    """Return the report's HTML, everything that came from devices escaped."""
    zone = period.zone_of(report.timezone)
    sections = [_section(report, device, zone) for device in report.devices]
    environment = Environment(
        loader=FunctionLoader(template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report,
        sections=sections,
        alerts_by_device={s.report.key: len(s.alerts) for s in sections},
        range_text=period.period_text(report.period, zone),
        moment_text=partial(period.moment_text, zone=zone),
        clock_text=partial(period.clock_text, zone=zone),
        duration_text=period.duration_text,
        percent_text=figures.percent_text,
        count_text=figures.count_text,
        state_of=partial(model.state_of, period=report.period),
    )


def _section(report: ReportModel, device: DeviceReport, zone: ZoneInfo) -> DeviceSection:
    alerts = [a for a in report.alerts if (a.tenant, a.device) == tuple(device.key)]
    if not device.in_detail:
        return DeviceSection(device, [], alerts)
    by_name = {samples.metric: samples for samples in device.samples}
    rows: list[MetricRow] = []
    for row in figures_of(device)[: report.limits.metrics]:
        charted = sum(1 for r in rows if r.chart) < report.limits.charts
        rows.append(_row(report, by_name[row.metric], row, zone, alerts, charted))
    return DeviceSection(device, rows, alerts)


def _row(
    report: ReportModel,
    samples: Samples,
    row: MetricFigures,
    zone: ZoneInfo,
    alerts: list[AlertNotice],
    charted: bool,
) -> MetricRow:
    if not samples.drawable:
        return MetricRow(row, "", "", "", 0)
    rhythm = rhythm_of(samples.ts_ms, step_ms=samples.step_ms)
    tolerance = rhythm.tolerance_ms if rhythm else None
    trend = sparkline(samples.ts_ms, samples.mean, period=report.period, tolerance_ms=tolerance)
    if not charted:
        return MetricRow(row, _data_url(trend), "", "", 0)
    own = [a for a in alerts if a.metric in ("", row.metric)]
    chart = line_chart(
        samples,
        period=report.period,
        zone=zone,
        scale=row.scale,
        shades=[_shade(alert, report.period.to_ms) for alert in own],
    )
    return MetricRow(row, _data_url(trend), _data_url(chart), _alt(row, len(own)), len(own))


def _shade(alert: AlertNotice, to_ms: int) -> Shade:
    ended = to_ms if alert.ended_at_ms is None else alert.ended_at_ms
    return Shade(alert.started_at_ms, ended, alert.severity)


def _alt(row: MetricFigures, alerts: int) -> str:
    scale = row.scale
    shaded = f", {alerts} alert periods shaded" if alerts else ""
    return (
        f"Line chart of {row.metric}: minimum {scale.with_unit(row.low)}, "
        f"mean {scale.with_unit(row.mean)}, maximum {scale.with_unit(row.high)}{shaded}"
    )


def _data_url(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
