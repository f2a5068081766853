"""From data to what templates show: fleet rows, charts, ledger, letters, alerts, the form."""

from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cloud.dashboard.alerts_view import newest_deliveries, newest_reports, sort_alerts
from cloud.dashboard.charts_view import (
    RANGES_MS,
    machine_charts,
    metric_charts,
    range_name,
    step_ms,
)
from cloud.dashboard.device_view import device_view
from cloud.dashboard.fleet_view import FleetFacts, fleet_rows, headline_cells
from cloud.dashboard.ledger_view import floor_pct, ledger_view
from cloud.dashboard.letters_view import letter_view
from cloud.dashboard.overview import MAX_ROWS, overview
from cloud.dashboard.presence import limits_of
from cloud.dashboard.report_form import FormError, ReportForm, read_report_form
from cloud.dashboard.sparkline import Window, narrowed, sparkline
from cloud.timeseries.port import Latest
from wire.events import AlertNotice
from wire.ids import LOCAL_TENANT, DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.records import Delivery, Report

NOW_MS = 1_700_000_000_000
PUMP = DeviceKey(TenantId("plant"), DeviceId("pump"))
WINDOW = Window(NOW_MS - 900_000, NOW_MS, 15_000)


def latest(metric: str, value: Value, ts_ms: int = NOW_MS) -> Latest:
    """Return a latest value of the pump."""
    return Latest(SeriesKey(*PUMP, MetricName(metric)), ts_ms, value)


def facts(**changes: Any) -> FleetFacts:
    """Return what is known of a fleet of which nothing is known, changed."""
    nothing = FleetFacts(latest={}, seen={}, history={}, window=WINDOW, limits=limits_of([]))
    return nothing._replace(**changes)


def account(boots: list[Any], **counts: int) -> Any:
    """Return a device's account as the ledger gives it."""
    names = ("received", "stored", "duplicate", "dead", "filtered", "in_flight", "late", "skew_ms")
    known = {name: counts.get(name, 0) for name in names}
    return SimpleNamespace(**known, boots=boots, last_gap=None)


def test_headline_cells_prefer_numbers_with_units() -> None:
    """A machine's own metrics come first, then numbers with a unit, then the rest."""
    points = [
        latest("mode", "auto"),
        latest("plain", 1.0),
        latest("zeta_c", 2.0),
        latest("disk_used_pct", 3.0),
        latest("on", True),
    ]

    shown = [cell.key.metric for cell in headline_cells(points)]

    assert shown == ["disk_used_pct", "zeta_c", "plain", "mode"]


def test_fleet_row_draws_the_first_metric_with_a_past() -> None:
    """The sparkline belongs to the first shown value that has points."""
    key = SeriesKey(*PUMP, MetricName("flow"))
    known = facts(
        latest={PUMP: [latest("a_c", 1.0), latest("flow", 2.0)]},
        history={key: [(NOW_MS - 15_000, 1.0), (NOW_MS, 2.0)]},
    )

    (row,) = fleet_rows([PUMP], known)

    assert row.spark_metric == "flow"
    assert row.spark.startswith("M")
    assert row.state == "online"


def test_overview_counts_who_is_there_and_narrows_the_rows() -> None:
    """The counts are of all devices, the rows of those whose name holds the query."""
    winch = DeviceKey(TenantId("plant"), DeviceId("WINCH"))
    known = facts(latest={PUMP: [latest("flow", 2.0)]})

    view = overview([PUMP, winch], known, "winc")

    assert (view.online, view.total, view.matching) == (1, 2, 1)
    assert [row.key for row in view.rows] == [winch]
    assert view.spark_ms == 900_000


def test_overview_of_a_large_fleet_shows_its_first_rows() -> None:
    """The page stays small and says how many there are."""
    keys = [DeviceKey(TenantId("plant"), DeviceId(f"d{n:03d}")) for n in range(MAX_ROWS + 5)]

    view = overview(keys, facts(), "")

    assert (len(view.rows), view.matching) == (MAX_ROWS, MAX_ROWS + 5)


def test_overview_draws_this_machine_once_its_agent_has_sent_something() -> None:
    """A device of the local tenant without a machine's metrics is not this machine."""
    idle, box = (DeviceKey(LOCAL_TENANT, DeviceId(name)) for name in ("a-sensor", "box"))
    cpu = Latest(SeriesKey(*box, MetricName("cpu_used_pct")), NOW_MS, 12.0)

    view = overview([PUMP, idle, box], facts(latest={box: [cpu]}), "")

    assert view.machine == box
    assert [chart.title for chart in view.machine_charts] == ["CPU"]
    assert overview([idle], facts(), "").machine is None


def test_device_view_bounds_its_charts_and_takes_a_known_range() -> None:
    """A device of many metrics says how many have no chart; an unknown range is the default."""
    known = facts(latest={PUMP: [latest(f"m{n}", 1.0) for n in range(30)]})
    nothing = sort_alerts([])

    view = device_view(PUMP, known, alerts=nothing, wanted_range="1y")

    assert (len(view.charts), view.more_charts, len(view.cells)) == (24, 6, 30)
    assert (view.range, view.range_ms, view.state) == ("1h", RANGES_MS["1h"], "online")
    assert device_view(PUMP, known, alerts=nothing, wanted_range="6h").step_ms == 30_000


def test_records_are_listed_newest_first() -> None:
    """Reports by when they were asked for, deliveries by when their status changed."""
    reports = [Report(f"r{at}", 0, 1, created_at_ms=at) for at in (1, 3, 2)]
    logged = [Delivery(f"d{at}", "a", "email", "x", "queued", 0, at) for at in (1, 3, 2)]

    assert [one.created_at_ms for one in newest_reports(msgspec.to_builtins(reports))] == [3, 2, 1]
    assert [one.at_ms for one in newest_deliveries(msgspec.to_builtins(logged))] == [3, 2, 1]


def test_fleet_row_of_a_device_without_data_says_so() -> None:
    """A registered device that never sent anything has a row, too."""
    (row,) = fleet_rows([PUMP], facts())

    assert (row.state, row.newest_ms, row.cells, row.spark) == ("never heard", None, [], "")


def test_sparkline_breaks_at_a_gap_and_centres_a_flat_line() -> None:
    """A gap of more than two steps begins a new line; a constant is drawn in the middle."""
    points = [(NOW_MS - 600_000, 5.0), (NOW_MS - 585_000, 5.0), (NOW_MS, 5.0)]

    path = sparkline(points, WINDOW)

    assert path == "M40.0 14.0L42.0 14.0M120.0 14.0"
    assert sparkline([], WINDOW) == ""


def test_sparklines_of_a_young_site_are_drawn_finer() -> None:
    """As long as there is little data the window begins with it, and is never empty."""
    finer = narrowed(WINDOW, NOW_MS - 90_000, 2_000)

    assert finer == Window(NOW_MS - 90_000, NOW_MS, 2_000)
    assert narrowed(WINDOW, NOW_MS - 1_000, 2_000) == Window(NOW_MS - 40_000, NOW_MS, 2_000)
    assert narrowed(WINDOW, NOW_MS - 600_000, 2_000) is None
    assert narrowed(WINDOW, None, 2_000) is None


def test_charts_of_the_machine_come_first_those_of_its_agent_last() -> None:
    """The order of charts is what a person wants to see first, not the alphabet."""
    points = [latest("agent_memory_bytes", 1.0), latest("load", 1.0), latest("cpu_used_pct", 1.0)]

    titles = [chart.title for chart in metric_charts([*points, latest("mode", "auto")])]

    assert titles == ["cpu_used_pct", "load", "agent_memory_bytes"]


def test_step_keeps_every_range_below_a_thousand_points() -> None:
    """No chart asks for more than 1,000 points, and short ranges are not coarser than needed."""
    counts = {name: span // step_ms(span) for name, span in RANGES_MS.items()}

    assert all(300 <= count <= 1_000 for count in counts.values())
    assert step_ms(RANGES_MS["15m"]) == 1_000
    assert range_name("1y") == "1h"


def test_machine_charts_show_what_the_agent_sends() -> None:
    """Only metrics that are there become charts, in a fixed order."""
    charts = machine_charts([latest("disk_used_pct", 1.0), latest("cpu_used_pct", 2.0)])

    assert [(one.title, one.unit) for one in charts] == [("CPU", "%"), ("Disk", "%")]


def test_ledger_view_counts_what_is_missing() -> None:
    """Completeness is by sequences: holes before the first one seen count as well."""
    boots = [
        SimpleNamespace(boot="k3", first=3, last=100, missing=[(1, 2), (50, 57)]),
        SimpleNamespace(boot="k4", first=1, last=100, missing=[]),
    ]

    view = ledger_view(account(boots, received=190, stored=190))

    assert view.missing_count == 10
    assert view.complete_pct == 95.0
    assert [one.boot for one in view.missing] == ["k3"]
    assert ledger_view(account([])).complete_pct is None


@pytest.mark.parametrize(
    ("skew_ms", "text"),
    [
        (0, "right"),
        (-999, "right"),
        (7_400, "7 s behind"),
        (-61_000, "61 s ahead"),
        (7_200_000, "2.0 h behind"),
    ],
)
def test_ledger_view_names_how_a_clock_stands(skew_ms: int, text: str) -> None:
    """What arrives later than it says comes from a clock that is behind, or from far away."""
    assert ledger_view(account([], skew_ms=skew_ms)).clock == text


def test_floor_pct_never_rounds_up_to_everything() -> None:
    """One reading missing of a million is not 100 %."""
    assert floor_pct(99.9999) == "99.99 %"
    assert floor_pct(100.0) == "100 %"


def _letter(**changes: object) -> SimpleNamespace:
    known = {"id": 1, "topic": "t", "reason": "r", "payload": b"{", "readings": 1}
    return SimpleNamespace(**{**known, "is_shortened": False, "received_at_ms": NOW_MS, **changes})


@pytest.mark.parametrize(
    ("payload", "excerpt"),
    [
        (b'{"a": 1}\n', '{"a": 1}\N{MIDDLE DOT}'),
        (b"\xff\x00", "ff 00"),
        (b"x" * 300, "x" * 240 + "…"),
    ],
)
def test_letter_excerpt_is_printable_and_short(payload: bytes, excerpt: str) -> None:
    """A payload is shown without control characters, bytes in hexadecimal, long ones cut."""
    view = letter_view(_letter(payload=payload))

    assert view.excerpt == excerpt
    assert view.size_bytes == len(payload)


def test_letter_offers_only_a_replay_that_can_be() -> None:
    """Of a payload that was not kept whole, or held no reading, nothing can be replayed."""
    assert letter_view(_letter()).can_replay
    assert not letter_view(_letter(is_shortened=True)).can_replay
    assert not letter_view(_letter(readings=0)).can_replay


def test_alerts_are_sorted_worst_and_newest_first() -> None:
    """Critical ones lead, then the newest; a device's page shows its own."""

    def alert(alert_id: str, severity: Any, started_ms: int, device: str = "pump") -> Any:
        made = AlertNotice(
            alert_id=alert_id,
            rule="r",
            tenant="plant",
            device=device,
            metric="m",
            status="firing",
            severity=severity,
            summary="s",
            started_at_ms=started_ms,
        )
        return msgspec.to_builtins(made)

    values = [alert("old", "warning", 1), alert("new", "warning", 2), alert("bad", "critical", 0)]
    other = alert("other", "critical", 9, "press")

    assert [one.alert_id for one in sort_alerts(values).open] == ["bad", "new", "old"]
    assert sort_alerts([*values, other], PUMP).open[0].alert_id == "bad"


def test_report_form_reads_times_in_the_sites_zone() -> None:
    """A custom period is local time, a named one ends now."""
    berlin = ZoneInfo("Europe/Berlin")
    custom = {
        "subject": "plant/pump",
        "range": "custom",
        "from": "2023-07-01T00:00",
        "to": "2023-07-02T00:00",
    }

    asked = read_report_form(custom, berlin, NOW_MS)

    assert asked == ReportForm("plant", "pump", 1_688_162_400_000, 1_688_248_800_000)
    assert read_report_form({"range": "1h"}, berlin, NOW_MS) == ReportForm(
        None, None, NOW_MS - 3_600_000, NOW_MS
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"range": "1y"},
        {"range": "custom"},
        {"range": "custom", "from": "2023-07-02T00:00", "to": "2023-07-01T00:00"},
        {"range": "custom", "from": "2020-01-01T00:00", "to": "2023-07-01T00:00"},
        {"range": "custom", "from": "x", "to": "2023-07-01T00:00"},
        {"range": "custom", "from": "1969-07-01T00:00", "to": "1969-07-02T00:00"},
        {"range": "custom", "from": "2026-07-01T00:00", "to": "2026-07-02T00:00"},
    ],
)
def test_report_form_refuses_a_period_that_makes_no_sense(fields: dict[str, str]) -> None:
    """An unknown, missing, reversed, endless or future period is told to the person."""
    with pytest.raises(FormError):
        read_report_form(fields, ZoneInfo("UTC"), NOW_MS)
