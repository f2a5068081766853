"""The figures of each metric, worked out in a pandas frame. Imported only where PDFs are drawn."""

from typing import Any, NamedTuple

import pandas as pd

from cloud.reports.figures import Scale, scale_for
from cloud.reports.model import DeviceReport, Samples
from wire.units import unit_of


class MetricFigures(NamedTuple):
    """One row of a device's table; the values in the metric's own unit, unscaled."""

    metric: str
    scale: Scale
    measurements: int
    low: float
    mean: float
    high: float
    last: float


def frame_of(samples: Samples) -> pd.DataFrame:
    """Return the rows of one metric, indexed by time (UTC)."""
    index = pd.to_datetime(samples.ts_ms, unit="ms", utc=True)
    return pd.DataFrame(
        {
            "metric": samples.metric,
            "count": samples.count,
            "mean": samples.mean,
            "low": samples.low,
            "high": samples.high,
            "last": samples.last,
        },
        index=index,
    )


def figures_of(device: DeviceReport) -> list[MetricFigures]:
    """Return minimum, mean, maximum, last value and count of each metric of a device.

    The mean weighs every measurement alike, also where rows already sum up several.
    """
    filled = [samples for samples in device.samples if samples.ts_ms]
    if not filled:
        return []
    rows = pd.concat([frame_of(samples) for samples in filled])
    rows["sum"] = rows["mean"] * rows["count"]
    table = rows.groupby("metric").agg(
        measurements=("count", "sum"),
        sum=("sum", "sum"),
        low=("low", "min"),
        high=("high", "max"),
        last=("last", "last"),
    )
    table["mean"] = (table["sum"] / table["measurements"]).clip(table["low"], table["high"])
    return [_figures(str(row.Index), row) for row in table.itertuples()]


def _figures(metric: str, row: Any) -> MetricFigures:
    low, high = float(row.low), float(row.high)
    return MetricFigures(
        metric,
        scale_for(unit_of(metric), low, high),
        int(row.measurements),
        low,
        float(row.mean),
        high,
        float(row.last),
    )
