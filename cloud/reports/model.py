"""What a report says, as plain data: built from series, alerts and the ledger's counts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from cloud.reports.gaps import Gap, covered_share, find_gaps
from cloud.reports.period import Period, Scope
from cloud.timeseries.port import Aggregate, Series
from wire.events import AlertNotice
from wire.ids import DeviceKey
from wire.messages import Value


class BootAccount(Protocol):
    """One boot of a device: the holes in its sequence numbers, ends included."""

    @property
    def missing(self) -> Sequence[tuple[int, int]]: ...  # noqa: D102


class Account(Protocol):
    """A device's readings by their fate, as the ledger counts them since the first one."""

    @property
    def received(self) -> int: ...  # noqa: D102
    @property
    def stored(self) -> int: ...  # noqa: D102
    @property
    def duplicate(self) -> int: ...  # noqa: D102
    @property
    def dead(self) -> int: ...  # noqa: D102
    @property
    def filtered(self) -> int: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102
    @property
    def late(self) -> int: ...  # noqa: D102
    @property
    def skew_ms(self) -> int | None: ...  # noqa: D102
    @property
    def boots(self) -> Sequence[BootAccount]: ...  # noqa: D102


class Completeness(Protocol):
    """What reports need of the ledger."""

    async def view(self, device: DeviceKey) -> Account:
        """Return a device's account; all zero when it was never heard."""
        ...


class Fates(msgspec.Struct, frozen=True):
    """An `Account` as plain data; `missing` counts the sequence numbers that never came.

    It is None when the device sends none. `skew_ms`: received - device time.
    """

    received: int
    stored: int
    duplicate: int
    dead: int
    filtered: int
    in_flight: int
    missing: int | None = None
    late: int = 0
    skew_ms: int | None = None

    @property
    def completeness(self) -> float | None:
        """Return stored / (stored + missing), or None when that cannot be known."""
        if self.missing is None or self.stored + self.missing == 0:
            return None
        return self.stored / (self.stored + self.missing)


class Samples(msgspec.Struct, frozen=True):
    """One numeric metric in columns of equal length, in order of time.

    `step_ms` 0: row i is the measurement at `ts_ms[i]`. Otherwise row i sums up the `count[i]`
    measurements of [ts_ms[i], ts_ms[i] + step_ms), so the figures stay exact over long periods.
    `drawable` says whether there are rows enough for a chart.
    """

    metric: str
    step_ms: int
    ts_ms: list[int]
    count: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    last: list[float]
    drawable: bool = True


class States(msgspec.Struct, frozen=True):
    """A metric of texts or booleans: how many came, and the last one."""

    metric: str
    count: int
    last: str


class DeviceReport(msgspec.Struct, frozen=True):
    """One device: its metrics, its gaps (of its densest metric) and its readings' fates.

    `gaps` and `covered` (0 to 1) are None where the rows do not tell.
    """

    key: DeviceKey
    samples: list[Samples] = []
    states: list[States] = []
    fates: Fates | None = None
    gaps: list[Gap] | None = None
    covered: float | None = None
    in_detail: bool = True

    @property
    def measurements(self) -> int:
        """Return the number of values in the period."""
        return sum(sum(s.count) for s in self.samples) + sum(s.count for s in self.states)

    @property
    def last_ts_ms(self) -> int | None:
        """Return the time of the newest value in the period (of stepped rows: the step's)."""
        return max((s.ts_ms[-1] for s in self.samples if s.ts_ms and s.drawable), default=None)


class Limits(msgspec.Struct, frozen=True):
    """How much a report shows; what is beyond is counted and said."""

    devices: int = 40
    rows: int = 200
    alerts: int = 100
    metrics: int = 60
    charts: int = 12
    points: int = 2_000


class ReportModel(msgspec.Struct, frozen=True):
    """Everything a report says. `devices` in order of their names."""

    site: str
    timezone: str
    period: Period
    scope: Scope
    made_at_ms: int
    devices: list[DeviceReport]
    alerts: list[AlertNotice]
    limits: Limits = Limits()

    @property
    def measurements(self) -> int:
        """Return the number of values in the period."""
        return sum(device.measurements for device in self.devices)

    @property
    def completeness(self) -> float | None:
        """Return the share of readings stored, over all devices that number theirs."""
        known = [d.fates for d in self.devices if d.fates and d.fates.completeness is not None]
        stored = sum(fates.stored for fates in known)
        missing = sum(fates.missing or 0 for fates in known)
        return stored / (stored + missing) if stored + missing else None


def samples_of(series: Series) -> Samples | States | None:
    """Turn raw points into columns; a series that holds a text or a boolean into `States`."""
    if not series.points:
        return None
    values = [value for _, value in series.points]
    if any(isinstance(value, bool | str) for value in values):
        return States(series.key.metric, len(values), _state_text(values[-1]))
    numbers = [float(value) for value in values]
    times = [ts_ms for ts_ms, _ in series.points]
    ones = [1] * len(times)
    return Samples(series.key.metric, 0, times, ones, numbers, numbers, numbers, numbers)


def stepped_samples(
    metric: str,
    step_ms: int,
    *,
    columns: Mapping[Aggregate, Sequence[tuple[int, Value]]],
    drawable: bool = True,
) -> Samples:
    """Join the aggregates of one series; a step that one of them lacks is left out."""
    by_time = {name: dict(points) for name, points in columns.items()}
    times = sorted(set.intersection(*(set(points) for points in by_time.values())))

    def column(name: Aggregate) -> list[float]:
        return [float(by_time[name][ts_ms]) for ts_ms in times]

    return Samples(
        metric,
        step_ms,
        times,
        [int(count) for count in column("count")],
        column("mean"),
        column("min"),
        column("max"),
        column("last"),
        drawable,
    )


def device_report(
    key: DeviceKey,
    metrics: Sequence[Samples | States],
    *,
    period: Period,
    account: Account,
    in_detail: bool,
) -> DeviceReport:
    """Put a device together; its gaps are those of the metric with the most rows."""
    samples = sorted((m for m in metrics if isinstance(m, Samples)), key=lambda s: s.metric)
    states = sorted((m for m in metrics if isinstance(m, States)), key=lambda s: s.metric)
    densest = max((s for s in samples if s.drawable), key=lambda s: len(s.ts_ms), default=None)
    gaps = find_gaps(densest.ts_ms, period, step_ms=densest.step_ms) if densest else None
    covered = None if gaps is None else covered_share(gaps, period)
    return DeviceReport(key, samples, states, fates_of(account), gaps, covered, in_detail)


def alerts_within(alerts: Sequence[AlertNotice], period: Period, scope: Scope) -> list[AlertNotice]:
    """Return the alerts of the scope that were open at some time of the period, oldest first."""
    chosen = [
        alert
        for alert in alerts
        if alert.started_at_ms < period.to_ms
        and (alert.ended_at_ms is None or alert.ended_at_ms >= period.from_ms)
        and scope.tenant in (None, alert.tenant)
        and scope.device in (None, alert.device)
    ]
    return sorted(chosen, key=lambda alert: (alert.started_at_ms, alert.alert_id))


def state_of(alert: AlertNotice, period: Period) -> Literal["open", "resolved"]:
    """Return whether an alert was still open when the period ended."""
    ended = alert.ended_at_ms is not None and alert.ended_at_ms < period.to_ms
    return "resolved" if ended else "open"


def fates_of(account: Account) -> Fates | None:
    """Return an account as plain data, or None when the ledger never heard of the device."""
    if account.received == 0:
        return None
    holes = [hole for boot in account.boots for hole in boot.missing]
    return Fates(
        account.received,
        account.stored,
        account.duplicate,
        account.dead,
        account.filtered,
        account.in_flight,
        sum(last - first + 1 for first, last in holes) if account.boots else None,
        account.late,
        account.skew_ms,
    )


def _state_text(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
