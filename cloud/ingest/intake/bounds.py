"""What one message may hold and when it may be from, as `[ingest.limits]` says. Pure."""

from collections.abc import Iterable
from sys import intern

from msgspec import structs

from cloud.ingest.intake.recent import Recent
from cloud.ingest.ledger.known import Known
from cloud.settings import Ingest as Settings
from wire.codecs.checks import MAX_TEXT_CHARS, MAX_VALUES
from wire.ids import MetricName, SeriesKey, TenantId
from wire.messages import Reading

_MS_PER_S = 1_000
_MS_PER_DAY = 86_400_000
_MAX_TENANTS = 100_000


class Bounds:
    """The limits of a reading; `tightened` when they are below what the formats allow."""

    __slots__ = ("_future_ms", "_max_past_days", "_past_ms", "_text_chars", "_values", "tightened")

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self._future_ms = round(settings.max_future_s * _MS_PER_S)
        self._past_ms = limits.max_past_days * _MS_PER_DAY
        self._max_past_days = limits.max_past_days
        self._values = limits.max_values
        self._text_chars = limits.max_text_chars
        self.tightened = self._values < MAX_VALUES or self._text_chars < MAX_TEXT_CHARS

    def allow(self, values: int) -> bool:
        """Return whether a reading may have so many values."""
        return values <= self._values

    def fault(self, reading: Reading) -> str | None:
        """Return why a reading is too large, None when it is not."""
        if len(reading.values) > self._values:
            return f"reading has more than {self._values} values"
        for name, value in reading.values.items():
            if type(value) is str and len(value) > self._text_chars:
                return f"value of {name!r} is longer than {self._text_chars} characters"
        return None

    def window(self, received_ms: int, now_ms: int) -> tuple[int, int]:
        """Return the first and the last time that is believed."""
        earliest_ms = received_ms - self._past_ms
        return max(0, earliest_ms), now_ms + self._future_ms

    def time_fault(self, ts_ms: int, received_ms: int) -> str:
        """Return what is wrong with a time that was refused."""
        if ts_ms > received_ms:
            return "ts lies in the future: check the device's clock (ts is in milliseconds)"
        if ts_ms < 0:
            return "ts lies before 1970"
        return (
            f"ts is too old, more than {self._max_past_days} days: check the device's clock"
            " (ts is in milliseconds)"
        )


class SeriesLimits:
    """Counts series when they are first seen, of tenants whose series were counted (`begin`)."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self._of_device, self._of_tenant = (
            limits.max_series_per_device,
            limits.max_series_per_tenant,
        )
        self._name_chars = limits.max_name_chars
        self._counts: Recent[TenantId, int] = Recent(_MAX_TENANTS)

    def knows(self, tenant: TenantId) -> bool:
        """Return whether the tenant's series are counted."""
        return self._counts.get(tenant) is not None

    def begin(self, tenant: TenantId, count: int) -> None:
        """Note how many series a tenant has."""
        self._counts.put(tenant, count)

    def forget(self, tenant: TenantId, count: int) -> None:
        """Note that a tenant has `count` series less, if its series are counted."""
        had = self._counts.get(tenant)
        if had is not None:
            self._counts.put(tenant, max(0, had - count))

    def admit(self, known: Known, metrics: Iterable[MetricName]) -> list[MetricName] | str:
        """Begin the series of a device that are new, all of them or none.

        Returns them, or why there can be no more.
        """
        tenant = known.device.tenant
        new = [metric for metric in metrics if metric not in known.series]
        for metric in new:
            if len(metric) > self._name_chars:
                return f"metric name is longer than {self._name_chars} characters"
        if len(known.series) + len(new) > self._of_device:
            return _full(new[0], f"the device has {self._of_device}", "max_series_per_device")
        count = (self._counts.get(tenant) or 0) + len(new)
        if count > self._of_tenant:
            return _full(new[0], f"the tenant has {self._of_tenant}", "max_series_per_tenant")
        self._counts.put(tenant, count)
        for metric in new:
            # Many devices have the same few names: each is kept once.
            name = MetricName(intern(metric))
            known.series[name] = SeriesKey(tenant, known.device.device, name)
        return new


def _full(metric: MetricName, who: str, setting: str) -> str:
    return f"{metric!r} would be a new series, and {who}: raise ingest.limits.{setting}"


def within_retention(settings: Settings, retention_days: int | None) -> Settings:
    """Return settings that refuse what the store would drop at once; None: it keeps everything."""
    if retention_days is None or retention_days >= settings.limits.max_past_days:
        return settings
    limits = structs.replace(settings.limits, max_past_days=retention_days)
    return structs.replace(settings, limits=limits)
