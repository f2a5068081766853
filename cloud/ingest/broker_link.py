"""What ingestion has at its broker: session, receiver and group, and what it says to devices.

End-to-end acknowledgements, the group's claims and Sparkplug's requests are gathered, and
published twice a second.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskGroup

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Inbox
from cloud.ingest.intake.sparkplug import Host
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.metrics import Metrics
from cloud.ingest.patience import Patience
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.filters import filters_of
from cloud.ingest.receiving.host_state import HostState
from cloud.ingest.receiving.news import News
from cloud.ingest.receiving.receiver import Receiver
from cloud.ingest.receiving.session import OnLoss, Session
from cloud.ingest.sharing.circle import Circle
from cloud.ingest.sharing.peers import Claim
from cloud.settings import Ingest as Settings
from wire.codecs.json import encode
from wire.ids import DeviceKey
from wire.messages import Ack
from wire.sparkplug.topics import filters as sparkplug_filters
from wire.topics import topic

_PUBLISH_INTERVAL_S = 0.5
_MAX_UNSAID = 100_000


class BrokerLink:
    """One broker's part of the pipeline. `start` it, or `free` it."""

    def __init__(
        self,
        broker: BrokerAccess,
        inbox: Inbox,
        ledger: Ledger,
        patience: Patience,
        *,
        settings: Settings,
        own_filters: Sequence[str],
        host: Host | None,
        metrics: Metrics,
        now_ms: Callable[[], int],
        rng: random.Random,
        on_loss: OnLoss,
    ) -> None:
        self._host, self._metrics, self._now_ms = host, metrics, now_ms
        # The newest acknowledgement of each boot; those of the boots that waited longest go.
        self._unsaid: OrderedDict[tuple[DeviceKey, str], int] = OrderedDict()
        group = settings.shared_group
        self._circle = (
            None if group is None else Circle(group, broker.client_id, inbox, now_ms=now_ms)
        )
        filters = filters_of(
            [
                *own_filters,
                *([] if host is None else sparkplug_filters(settings.sparkplug.host_id)),
            ],
            group=group,
            peers=None if self._circle is None else self._circle.peers.topic_filter,
        )
        self._session = Session(
            broker,
            ledger,
            patience,
            filters=[one.text for one in filters],
            metrics=metrics,
            now_ms=now_ms,
            on_loss=on_loss,
        )
        self._receiver = Receiver(
            broker,
            inbox,
            filters=filters,
            metrics=metrics,
            now_ms=now_ms,
            max_unacknowledged=settings.queue_messages,
            rng=rng,
            tell=self._tell,
            aside=None if self._circle is None else self._circle.hear,
            host_state=None if host is None else HostState(settings.sparkplug.host_id, now_ms),
        )

    @property
    def is_connected(self) -> bool:
        """Return whether the broker delivers to us now."""
        return self._receiver.subscribed

    async def start(self, tasks: TaskGroup) -> None:
        """Receive, in tasks of that group, until it is cancelled."""
        self._receiver.expects_session = await self._session.is_expected()
        self._receiver.known_filters = await self._session.known_filters()
        tasks.start_soon(self._session.run)
        tasks.start_soon(self._receiver.run)
        tasks.start_soon(self._publish_regularly)

    def stop_taking(self) -> None:
        """Take nothing more in; acknowledging goes on."""
        self._receiver.stop_taking()

    def free(self) -> None:
        """Free what waking costs; for after the end, or when it was never started."""
        self._session.free()
        self._receiver.free()

    def claims(self) -> list[Claim]:
        """Return what other ingesters of the group have told since the last call."""
        return [] if self._circle is None else self._circle.take()

    def acknowledge(self, batch: Batch) -> None:
        """Acknowledge a batch that is durable: to the broker now, to devices and group soon."""
        for generation, mids in batch.mids():
            self._receiver.acknowledge(generation, mids)
        for device, boot, seq in batch.reached:
            self._unsaid[device, boot] = seq
        dropped = 0
        while len(self._unsaid) > _MAX_UNSAID:
            self._unsaid.popitem(last=False)
            dropped += 1
        if self._circle is not None:
            dropped += self._circle.peers.note(batch.own_rows)
        self._metrics.publishes_dropped.inc(dropped)

    def publish(self) -> None:
        """Publish what has gathered, when the broker is there."""
        if not self.is_connected:
            return
        acks, self._unsaid = self._unsaid, OrderedDict()
        self._receiver.publish(
            [(topic(device, "ack"), encode(Ack(boot, seq))) for (device, boot), seq in acks.items()]
        )
        if self._circle is not None:
            peers = self._circle.peers
            self._receiver.publish([(peers.topic, payload) for payload in peers.due()])

    async def _publish_regularly(self) -> None:
        while True:
            await anyio.sleep(_PUBLISH_INTERVAL_S)
            self.publish()
            self._request_births()

    def _request_births(self) -> None:
        """Ask Sparkplug nodes for the births without which they cannot be understood."""
        if self._host is None or not self.is_connected:
            return
        requests = self._host.requests(self._now_ms())
        self._metrics.sparkplug_lost.inc(requests.lost)
        self._metrics.rebirths.inc(len(requests.messages))
        self._receiver.publish(requests.messages)

    def _tell(self, news: News) -> None:
        """Pass news on, in the receiver's thread."""
        self._session.tell(news)
        if self._circle is not None and news.what == "subscribed":
            self._circle.peers.greet()
