"""The device sections of a report: figures, trends and charts of each. Needs the PDF libraries."""

import base64
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cloud.reports.charts import Shade, line_chart
from cloud.reports.gaps import rhythm_of
from cloud.reports.model import DeviceReport, ReportModel, Samples
from cloud.reports.sparkline import sparkline
from cloud.reports.statistics import MetricFigures, figures_of
from cloud.settings import zone_of
from wire.events import AlertNotice


class Chart(NamedTuple):
    """A chart as a `data:` address, and what it shows in words."""

    url: str
    alt: str


class MetricRow(NamedTuple):
    """A metric as the template shows it; `trend` is a `data:` address or empty."""

    figures: MetricFigures
    trend: str
    chart: Chart | None


class DeviceSection(NamedTuple):
    """A device as the template shows it."""

    report: DeviceReport
    metrics: list[MetricRow]
    alerts: list[AlertNotice]


def sections_of(report: ReportModel) -> list[DeviceSection]:
    """Return a section for each device; without metrics where it is not shown in detail."""
    zone = zone_of(report.timezone)
    by_device: dict[tuple[str, str], list[AlertNotice]] = {}
    for alert in report.alerts:
        by_device.setdefault((alert.tenant, alert.device), []).append(alert)
    return [
        _section(report, device, zone, by_device.get((device.key.tenant, device.key.device), []))
        for device in report.devices
    ]


def _section(
    report: ReportModel, device: DeviceReport, zone: ZoneInfo, alerts: list[AlertNotice]
) -> DeviceSection:
    if not device.in_detail:
        return DeviceSection(device, [], alerts)
    by_name = {samples.metric: samples for samples in device.samples}
    charts_left = report.limits.charts
    rows: list[MetricRow] = []
    for row in figures_of(device)[: report.limits.metrics]:
        samples = by_name[row.metric]
        chart = None
        if samples.drawable and charts_left:
            charts_left -= 1
            chart = _chart(report, zone, samples=samples, row=row, alerts=alerts)
        rows.append(MetricRow(row, _trend(report, samples), chart))
    return DeviceSection(device, rows, alerts)


def _trend(report: ReportModel, samples: Samples) -> str:
    if not samples.drawable:
        return ""
    rhythm = rhythm_of(samples.ts_ms, step_ms=samples.step_ms)
    svg = sparkline(
        samples.ts_ms,
        samples.mean,
        period=report.period,
        tolerance_ms=rhythm.tolerance_ms if rhythm else None,
    )
    return _data_url(svg)


def _chart(
    report: ReportModel,
    zone: ZoneInfo,
    *,
    samples: Samples,
    row: MetricFigures,
    alerts: Sequence[AlertNotice],
) -> Chart:
    own = [alert for alert in alerts if alert.metric in ("", row.metric)]
    svg = line_chart(
        samples,
        period=report.period,
        zone=zone,
        scale=row.scale,
        shades=[_shade(alert, report.period.to_ms) for alert in own],
    )
    return Chart(_data_url(svg), _in_words(row, len(own)))


def _shade(alert: AlertNotice, to_ms: int) -> Shade:
    ended = to_ms if alert.ended_at_ms is None else alert.ended_at_ms
    return Shade(alert.started_at_ms, ended, alert.severity)


def _in_words(row: MetricFigures, alerts: int) -> str:
    scale = row.scale
    shaded = f"; times of alerts shaded: {alerts}" if alerts else ""
    return (
        f"Line chart of {row.metric}: minimum {scale.with_unit(row.low)}, "
        f"mean {scale.with_unit(row.mean)}, maximum {scale.with_unit(row.high)}{shaded}"
    )


def _data_url(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
