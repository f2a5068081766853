"""What a report says of devices, alerts and completeness."""

from typing import Literal

import msgspec
import pytest

from cloud.reports.figures import percent_text, scale_for
from cloud.reports.model import (
    Fates,
    ReportModel,
    Samples,
    States,
    alerts_within,
    device_report,
    fates_of,
    samples_of,
    state_of,
    stepped_samples,
)
from cloud.reports.period import Period, Scope
from cloud.timeseries.port import Series
from wire.events import AlertNotice
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.messages import Value

PERIOD = Period(0, 100_000)
PUMP = DeviceKey(TenantId("acme"), DeviceId("pump"))


class Boot(msgspec.Struct, frozen=True):
    """A boot with holes."""

    missing: list[tuple[int, int]]


class Account(msgspec.Struct, frozen=True):
    """A device's account."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    dead: int = 0
    filtered: int = 0
    in_flight: int = 0
    late: int = 0
    skew_ms: int | None = None
    boots: list[Boot] = []


def series(metric: str, points: list[tuple[int, Value]]) -> Series:
    """Return a series of the pump."""
    return Series(SeriesKey(*PUMP, MetricName(metric)), points)


def alert(
    alert_id: str, started: int, ended: int | None = None, device: str = "pump"
) -> AlertNotice:
    """Return an alert of the tenant."""
    status: Literal["firing", "resolved"] = "firing" if ended is None else "resolved"
    return AlertNotice(
        alert_id, "hot", "acme", device, "t_c", status, "warning", "It is hot", started, ended
    )


def report_of(*fates: Fates | None) -> ReportModel:
    """Return a report about devices with these fates."""
    devices = [
        msgspec.structs.replace(
            device_report(PUMP, [], period=PERIOD, account=Account(), in_detail=True), fates=one
        )
        for one in fates
    ]
    return ReportModel("Site", "UTC", PERIOD, Scope(), 0, devices, [])


def test_numbers_become_samples_and_the_rest_states() -> None:
    """Booleans and texts are no curve: their count and last value are told."""
    numbers = samples_of(series("t_c", [(1, 20.0), (2, 21.0)]))
    flags = samples_of(series("open", [(1, False), (2, True)]))
    mixed = samples_of(series("mode", [(1, 3.0), (2, "auto")]))

    assert isinstance(numbers, Samples)
    assert (numbers.ts_ms, numbers.last) == ([1, 2], [20.0, 21.0])
    assert flags == States("open", 2, "yes")
    assert mixed == States("mode", 2, "auto")
    assert samples_of(series("none", [])) is None


def test_stepped_samples_leave_out_steps_that_one_aggregate_lacks() -> None:
    """A step written between two reads may be in one answer only."""
    whole: list[tuple[int, Value]] = [(0, 2.0), (10, 4.0)]

    samples = stepped_samples(
        "t_c",
        10,
        columns={"count": whole, "mean": whole, "min": whole, "max": whole[:1], "last": whole},
    )

    assert samples.ts_ms == [0]
    assert samples.count == [2]


def test_device_report_takes_its_gaps_from_the_densest_metric() -> None:
    """A slow metric beside a fast one makes no gaps."""
    fast = samples_of(series("fast", [(ts, 1.0) for ts in range(0, 100_000, 1_000)]))
    slow = samples_of(series("slow", [(0, 1.0), (60_000, 1.0)]))
    assert fast
    assert slow

    device = device_report(PUMP, [slow, fast], period=PERIOD, account=Account(), in_detail=True)

    assert device.covered == 1.0
    assert [s.metric for s in device.samples if isinstance(s, Samples)] == ["fast", "slow"]
    assert device.measurements == 102


def test_fates_count_the_missing_sequences() -> None:
    """Holes include both of their ends; a device without sequences has none to miss."""
    numbered = fates_of(Account(received=9, stored=6, boots=[Boot([(2, 3), (7, 7)]), Boot([])]))
    unnumbered = fates_of(Account(received=9, stored=9))

    assert numbered
    assert numbered.missing == 3
    assert numbered.completeness == pytest.approx(6 / 9)
    assert unnumbered
    assert unnumbered.completeness is None
    assert fates_of(Account()) is None


def test_overall_completeness_weighs_readings_not_devices() -> None:
    """Devices that number nothing take no part; without any nothing is claimed."""
    numbered = Fates(100, 90, 0, 0, 0, 0, missing=10)
    other = Fates(900, 900, 0, 0, 0, 0, missing=0)
    unnumbered = Fates(50, 50, 0, 0, 0, 0)

    assert report_of(numbered, other, unnumbered, None).completeness == pytest.approx(0.99)
    assert report_of(unnumbered, None).completeness is None


def test_alerts_within_are_those_open_at_some_time_of_the_period() -> None:
    """Alerts that ended before or began after are left out, and so are other devices'."""
    alerts = [
        alert("later", 100_000),
        alert("over", -50, -10),
        alert("still", 50),
        alert("across", -50, 10),
        alert("other", 50, device="fan"),
    ]

    found = alerts_within(alerts, PERIOD, Scope("acme", "pump"))

    assert [a.alert_id for a in found] == ["across", "still"]


def test_state_of_is_about_the_end_of_the_period() -> None:
    """An alert that was resolved after the period was open when it ended."""
    assert state_of(alert("a", 0, 200_000), PERIOD) == "open"
    assert state_of(alert("b", 0, 20), PERIOD) == "resolved"
    assert state_of(alert("c", 0), PERIOD) == "open"


@pytest.mark.parametrize(
    ("unit", "low", "high", "value", "text"),
    [
        ("°C", 20.0, 99.5, 21.456, "21.46 °C"),
        ("B", 0.0, 5.2e9, 5.1e9, "5.100 GB"),
        ("B/s", 0.0, 900.0, 512.0, "512.0 B/s"),
        ("", 0.0, 0.0, 0.0, "0"),
        ("V", -12.0, 3.0, -12.0, "\N{MINUS SIGN}12.00 V"),
        ("", 0.0, 123_456.0, 123_456.0, "123,456"),
        ("", 0.0, 1e-7, 1e-7, "1.000e-07"),
    ],
)
def test_scale_writes_a_metrics_values_alike(
    unit: str, low: float, high: float, value: float, text: str
) -> None:
    """Four digits, SI prefixes for bytes, separated thousands."""
    assert scale_for(unit, low, high).with_unit(value) == text


def test_percent_text_never_rounds_up_to_everything() -> None:
    """One missing reading in a million is visible."""
    assert percent_text(0.999999) == "99.99 %"
    assert percent_text(1.0) == "100 %"
    assert percent_text(None) == "\N{EN DASH}"
