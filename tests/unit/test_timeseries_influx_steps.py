"""What is asked for steps, and what marks of late hours lead to."""

from cloud.timeseries.buckets import HOUR_MS, Stretch
from cloud.timeseries.influx.influxql import Whose
from cloud.timeseries.influx.rollups.marks import (
    MANY_DEVICES,
    Mark,
    Redo,
    marks_of,
    merged,
    whole_hours,
)
from cloud.timeseries.influx.rollups.steps import MOST_CUTS, Part, parts_of, served
from cloud.timeseries.port import SeriesQuery
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

_PUMP, _FAN = ("acme", "pump"), ("acme", "fan")


def _hours(first: int, end: int) -> Stretch:
    return Stretch(first * HOUR_MS, end * HOUR_MS)


def _mark(hour: int, whose: tuple[str, str] = _PUMP) -> Mark:
    return Mark(hour * HOUR_MS, *whose)


def test_served_is_what_whole_buckets_answer() -> None:
    """Ragged ends are left to the points, like what is not rolled up yet."""
    query = SeriesQuery(HOUR_MS // 2, 9 * HOUR_MS + 1)

    assert served(query, HOUR_MS, 100 * HOUR_MS) == _hours(1, 9)
    assert served(query, HOUR_MS, 3 * HOUR_MS) == _hours(1, 3)
    assert served(query, HOUR_MS, HOUR_MS) is None


def test_parts_cover_the_range_once() -> None:
    """Points at both ends and in late hours, rollups between; nothing is asked twice."""
    query = SeriesQuery(HOUR_MS // 2, 9 * HOUR_MS + 1)

    parts = parts_of(
        query,
        _hours(1, 9),
        HOUR_MS,
        raw_from_ms=0,
        late_ms=[3 * HOUR_MS, 4 * HOUR_MS, 20 * HOUR_MS],
    )

    assert parts == [
        Part(Stretch(HOUR_MS // 2, HOUR_MS), None),
        Part(_hours(1, 3), HOUR_MS),
        Part(_hours(3, 5), None),
        Part(_hours(5, 9), HOUR_MS),
        Part(Stretch(9 * HOUR_MS, 9 * HOUR_MS + 1), None),
    ]


def test_parts_ask_no_points_where_there_are_none() -> None:
    """Before points are kept there are rollups alone, also of hours that are late."""
    query = SeriesQuery(HOUR_MS // 2, 9 * HOUR_MS)

    parts = parts_of(
        query, _hours(1, 9), HOUR_MS, raw_from_ms=5 * HOUR_MS, late_ms=[2 * HOUR_MS, 6 * HOUR_MS]
    )

    assert parts == [
        Part(_hours(1, 6), HOUR_MS), Part(_hours(6, 7), None), Part(_hours(7, 9), HOUR_MS)
    ]  # fmt: skip


def test_parts_of_many_late_hours_are_few() -> None:
    """From some cuts on everything between them is read as points."""
    late_ms = [hour * 2 * HOUR_MS for hour in range(1, MOST_CUTS + 3)]
    last = 2 * (MOST_CUTS + 2)

    parts = parts_of(
        SeriesQuery(0, 99 * HOUR_MS), _hours(0, 99), HOUR_MS, raw_from_ms=0, late_ms=late_ms
    )

    assert [part.stretch for part in parts] == [
        _hours(0, 2), _hours(2, last + 1), _hours(last + 1, 99)
    ]  # fmt: skip


def test_marks_are_hours_of_devices_before_a_time() -> None:
    """However many metrics and points: one for each hour and device; before 1970, too."""
    keys = [SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName(name)) for name in "abca"]
    batch = PointBatch(keys, [1, 2, -1, 5 * HOUR_MS], [1.0] * 4)

    assert marks_of(batch, 5 * HOUR_MS) == {_mark(0), _mark(-1)}
    assert marks_of(batch, -1) == marks_of(PointBatch(), 0) == set()


def test_marked_hours_that_follow_one_another_are_one_stretch() -> None:
    """Repeated and unsorted ones, too."""
    assert merged([2 * HOUR_MS, 0, HOUR_MS, HOUR_MS, 5 * HOUR_MS]) == [_hours(0, 3), _hours(5, 6)]


def test_page_of_marks_asks_by_device() -> None:
    """A page that is not full is all there is."""
    page = [_mark(1), _mark(1, _FAN), _mark(2)]

    redos, next_ms = whole_hours(page, is_full=False)

    assert sorted(redos, key=str) == sorted(
        [Redo(_hours(1, 3), Whose(*_PUMP)), Redo(_hours(1, 2), Whose(*_FAN))], key=str
    )
    assert next_ms == 3 * HOUR_MS


def test_full_page_of_marks_leaves_its_last_hour_to_the_next() -> None:
    """That hour may go on there; when it is the only one, it is done for everybody."""
    assert whole_hours([_mark(1), _mark(2)], is_full=True) == (
        [Redo(_hours(1, 2), Whose(*_PUMP))],
        2 * HOUR_MS,
    )
    assert whole_hours([_mark(1), _mark(1, _FAN)], is_full=True) == (
        [Redo(_hours(1, 2), Whose())],
        2 * HOUR_MS,
    )


def test_hour_of_many_devices_is_done_for_everybody() -> None:
    """One statement instead of one for each."""
    page = [_mark(1, ("acme", f"d{number}")) for number in range(MANY_DEVICES + 1)]

    redos, _ = whole_hours(page, is_full=False)

    assert redos == [Redo(_hours(1, 2), Whose())]
