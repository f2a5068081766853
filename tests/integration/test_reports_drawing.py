"""Charts and assets, with the real PDF libraries."""

import re
from zoneinfo import ZoneInfo

import pytest

from cloud.reports import charts
from cloud.reports.figures import scale_for
from cloud.reports.model import Samples
from cloud.reports.period import Period
from cloud.reports.sparkline import sparkline
from tidegate.printing import assets

PERIOD = Period(0, 3_600_000)
ZONE = ZoneInfo("Europe/Berlin")


def samples_at(times: list[int], *, step_ms: int = 0) -> Samples:
    """Return samples at these times."""
    values = [20.0 + ts % 7 for ts in times]
    ones = [1] * len(times)
    return Samples("t_c", step_ms, times, ones, values, values, values, values)


def lines_of(svg: str) -> list[str]:
    """Return the paths drawn in the colour of the data."""
    return re.findall(r'<path d="([^"]+)"[^>]*stroke: #0b6e8f', svg)


@pytest.mark.parametrize("step_ms", [0, 60_000])
def test_line_chart_leaves_gaps_empty(step_ms: int) -> None:
    """A silence splits the line in two; nothing is drawn across it."""
    times = [ts for ts in range(0, 3_600_000, 60_000) if not 1_200_000 < ts < 2_400_000]

    svg = charts.line_chart(
        samples_at(times, step_ms=step_ms), period=PERIOD, zone=ZONE, scale=scale_for("", 0.0, 30.0)
    )

    assert len(lines_of(svg)) == 2


def test_line_chart_is_the_same_every_time() -> None:
    """No dates, no random ids: equal data gives equal bytes."""
    shade = charts.Shade(600_000, 900_000, "critical")

    first, second = (
        charts.line_chart(
            samples_at(list(range(0, 3_600_000, 60_000))),
            period=PERIOD,
            zone=ZONE,
            scale=scale_for("", 0.0, 30.0),
            shades=[shade],
        )
        for _ in range(2)
    )

    assert first == second
    assert "dc:date" not in first
    assert "#d1343f" in first
    assert "01:00" in first


def test_line_chart_stays_small() -> None:
    """Two thousand points become what the eye can tell apart."""
    svg = charts.line_chart(
        samples_at(list(range(0, 3_600_000, 1_800))),
        period=PERIOD,
        zone=ZONE,
        scale=scale_for("", 0.0, 30.0),
    )

    assert len(svg) < 25_000


@pytest.mark.parametrize("values", [[5.0] * 4, [0.0] * 4, [1e-9] * 4, [-1e12, 1e12, 0.0, 1.0]])
def test_line_chart_draws_flat_and_wide_series(values: list[float]) -> None:
    """A constant, zero, tiny or enormous value is no error."""
    times = [0, 900_000, 1_800_000, 2_700_000]
    samples = Samples("t_c", 0, times, [1] * 4, values, values, values, values)

    svg = charts.line_chart(
        samples, period=PERIOD, zone=ZONE, scale=scale_for("", min(values), max(values))
    )

    assert lines_of(svg)


def test_sparkline_breaks_at_gaps() -> None:
    """The trend shows where data is missing as well."""
    times = [ts for ts in range(0, 3_600_000, 60_000) if not 1_200_000 < ts < 2_400_000]
    values = [float(ts) for ts in times]

    svg = sparkline(times, values, period=PERIOD, tolerance_ms=180_000)

    assert svg.count("M") == 2


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://127.0.0.1/", "asset:../errors.py", "asset:", "ftp://h/x"],
)
def test_fetcher_knows_only_bundled_assets_and_data(url: str) -> None:
    """No file and no network can get into a PDF."""
    fetcher = assets.AssetFetcher()

    with pytest.raises(ValueError, match="disallowed protocol"):
        fetcher.fetch(url)

    assert fetcher.fetch("data:text/plain,hello").read() == b"hello"
    assert fetcher.fetch("asset:DejaVuSans.ttf").content_type == "font/ttf"
