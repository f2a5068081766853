"""One topic of one device."""

from cloud.ingest.intake.sparkplug import Feed
from cloud.ingest.ledger.known import Known
from wire.codecs.formats import Format
from wire.ids import DeviceKey
from wire.topics import Channel


class Source:
    """What comes on a topic; `known` is shared by all topics of a device.

    `format` is what the topic's payloads have; None: their content type says it. With a `feed`
    they are Sparkplug's.
    """

    __slots__ = ("channel", "device", "feed", "format", "known")

    def __init__(
        self,
        known: Known,
        channel: Channel,
        *,
        form: Format | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.known = known
        self.device: DeviceKey = known.device
        self.channel = channel
        self.format = form
        self.feed = feed
