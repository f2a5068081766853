"""One device: what is known of it between its messages, however many topics it has."""

from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.limits import MAX_BOOTS
from cloud.ingest.ledger.spans import Spans
from wire.ids import DeviceKey, MetricName, SeriesKey
from wire.points import Shape

MAX_INTERVALS = 4_000
MAX_SHAPES = 64


class Known:
    """The boots, moments, series and clock of a device.

    Bounded, whatever the device sends: `MAX_BOOTS` boots with `MAX_INTERVALS` intervals and one
    boot's more, 256 moments, as many series as `[ingest.limits]` allows, `MAX_SHAPES` shapes. A
    batch holds on to it until it is committed: what is read from the ledger then is never older
    than what is here.
    """

    __slots__ = (
        "__weakref__",
        "boots",
        "device",
        "last_arrival_ms",
        "moments",
        "newest_ms",
        "series",
        "shapes",
        "skew",
    )

    def __init__(self, device: DeviceKey, past: Remembered) -> None:
        self.device = device
        self.boots = past.boots
        self.moments = past.moments
        self.skew = past.skew
        self.newest_ms = past.newest_ms
        self.last_arrival_ms = 0
        self.series: dict[MetricName, SeriesKey] = {
            metric: SeriesKey(device.tenant, device.device, metric) for metric in past.metrics
        }
        self.shapes: dict[tuple[MetricName, ...], Shape] = {}
        self._bound_boots()

    def has_begun(self, names: tuple[MetricName, ...]) -> bool:
        """Return whether the device has all these series."""
        return names in self.shapes or all(name in self.series for name in names)

    def shape_of(self, names: tuple[MetricName, ...]) -> Shape:
        """Return the shape of readings of series that the device has, one for the same names."""
        shape = self.shapes.get(names)
        if shape is None:
            if len(self.shapes) >= MAX_SHAPES:
                # Whoever sends ever other combinations pays for it, not this process's memory.
                self.shapes.clear()
            series = [self.series[name] for name in names]
            shape = self.shapes[tuple(key.metric for key in series)] = Shape(series)
        return shape

    def forget_series(self) -> None:
        """Forget all series, and the shapes made of them: they begin again when they are heard."""
        self.series.clear()
        self.shapes.clear()

    def arrival_ms(self, now_ms: int, age_ms: int | None = None) -> int:
        """Return the time of a reading that has none: how long before now, if it says so.

        Else it is a time of arrival that this device has not used: readings without a sequence
        have nothing else that tells them apart.
        """
        if age_ms is not None:
            return now_ms - age_ms
        self.last_arrival_ms = max(now_ms, self.last_arrival_ms + 1)
        return self.last_arrival_ms

    def new_boot(self, boot: str) -> Spans:
        """Begin a boot; the boots that came first make room for it."""
        self._bound_boots(room_for=1)
        spans = self.boots[boot] = Spans()
        return spans

    def _bound_boots(self, room_for: int = 0) -> None:
        """Forget the boots that came first: what they send is not recognised any more."""
        boots = self.boots
        intervals = sum(len(spans.starts) for spans in boots.values())
        while boots and (len(boots) + room_for > MAX_BOOTS or intervals > MAX_INTERVALS):
            intervals -= len(boots.pop(next(iter(boots))).starts)
