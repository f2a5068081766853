"""One channel of one device: what is known of it between its messages."""

from cloud.ingest.batch import Batch
from cloud.ingest.ledger_file import MAX_BOOTS
from cloud.ingest.spans import Spans
from cloud.ingest.sparkplug import Feed
from wire.codecs.formats import Format
from wire.ids import DeviceKey, MetricName, SeriesKey
from wire.topics import Channel

_MAX_CACHED_METRICS = 10_000


class Source:
    """Names, times and sequences of one topic; `boots` is shared by all topics of a device.

    `format` is what the topic's payloads have; None: their content type says it. With a `feed`
    they are Sparkplug's.
    """

    __slots__ = ("_series", "boots", "channel", "device", "feed", "format", "last_arrival_ms")

    def __init__(
        self,
        device: DeviceKey,
        channel: Channel,
        boots: dict[str, Spans],
        *,
        form: Format | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.device = device
        self.channel = channel
        self.boots = boots
        self.format = form
        self.feed = feed
        self.last_arrival_ms = 0
        self._series: dict[MetricName, SeriesKey] = {}

    def series(self, metric: MetricName) -> SeriesKey:
        """Return the key of one of the device's series, the same object each time."""
        key = self._series.get(metric)
        if key is None:
            key = SeriesKey(self.device.tenant, self.device.device, metric)
            if len(self._series) < _MAX_CACHED_METRICS:
                self._series[metric] = key
        return key

    def arrival_ms(self, now_ms: int) -> int:
        """Return a time of arrival that this device has not used.

        Readings without a sequence have nothing else that tells them apart.
        """
        self.last_arrival_ms = max(now_ms, self.last_arrival_ms + 1)
        return self.last_arrival_ms

    def see(self, batch: Batch, boot: str, *, seq: int, first: int | None) -> bool:
        """Mark a sequence as seen; return False when it was already."""
        spans = self.boots.get(boot)
        if spans is None:
            spans = new_boot(self.boots, boot)
            batch.entry.devices_with_new_boots.add(self.device)
        if first is not None:
            spans.declare_first(first)
        batch.touched[spans] = (self.device, boot)
        return spans.add(seq)

    def see_all(self, batch: Batch, identities: dict[int, tuple[str, int]]) -> dict[int, bool]:
        """Mark what a faulty payload's readings are called; return index → whether it was new.

        Readings of it that were taken are not new by now, which nobody asks.
        """
        return {
            index: self.see(batch, boot, seq=seq, first=None)
            for index, (boot, seq) in identities.items()
        }


def new_boot(boots: dict[str, Spans], boot: str) -> Spans:
    """Begin a boot of a device; of too many the one that is longest there is forgotten."""
    while len(boots) >= MAX_BOOTS:
        del boots[next(iter(boots))]
    spans = boots[boot] = Spans()
    return spans
