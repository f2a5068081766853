"""What is asked of InfluxDB, portion by portion, and when it is enough."""

from cloud.timeseries.influx.influxql import Result, Rows
from cloud.timeseries.influx.lines import STATES, TELEMETRY
from cloud.timeseries.influx.scanning import MOST_ROWS, Scan, joined, scan_of, unfinished
from cloud.timeseries.port import SeriesQuery
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId

_QUERY = SeriesQuery(0, 2**40)


def _scans(metric: str, *, most: int) -> list[Scan]:
    key = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName(metric))
    return [scan_of(_QUERY, key, name, most=most, start=None) for name in (TELEMETRY, STATES)]


def _rows(first: int, count: int, value: object = 1.0) -> Result:
    return Result([Rows(values=[[ns, value] for ns in range(first, first + count)])])


def test_scan_goes_on_where_it_was() -> None:
    """A full portion is followed by the next; one that is not full is the last."""
    [scan, _] = _scans("a", most=2**62)

    scan.take(_rows(0, MOST_ROWS))
    statement, was_done = scan.statement(), scan.is_done
    scan.take(_rows(MOST_ROWS, 5))

    assert f"time >= {MOST_ROWS} " in statement
    assert (was_done, scan.is_done) == (False, True)
    assert len(joined([scan])) == MOST_ROWS + 5


def test_scan_of_what_others_wrote_goes_on() -> None:
    """A portion without a value of ours is no end."""
    [scan, _] = _scans("a", most=20)

    scan.take(_rows(0, 20, "text"))

    assert (scan.rows, scan.is_done) == ({}, False)


def test_unfinished_leaves_out_what_is_behind_enough() -> None:
    """Once the first series have all points that are wanted, the others are not read on."""
    series = [_scans(metric, most=30_000) for metric in "abc"]
    for scan, _ in series:
        scan.take(_rows(0, MOST_ROWS))

    pending = [unfinished(series, most) for most in (5_000, MOST_ROWS, MOST_ROWS + 1, 30_000)]

    assert pending == [
        series[0],
        series[0],
        [*series[0], *series[1]],
        [*series[0], *series[1], *series[2]],
    ]
