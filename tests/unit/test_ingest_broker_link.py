"""What waits to be said to devices while the broker is away is bounded."""

import random
from typing import cast

from prometheus_client import CollectorRegistry

from cloud.ingest.batch import Batch, Reach
from cloud.ingest.broker_link import BrokerLink
from cloud.ingest.inbox import Inbox
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.metrics import metrics
from cloud.ingest.patience import Patience
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.session import tell_nobody
from cloud.settings import Ingest as Settings
from wire.ids import DeviceKey, device_id, tenant_id

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def test_broker_link_keeps_so_many_acknowledgements() -> None:
    """Of more boots than can be told, those that waited longest make room, and are counted."""
    numbers, inbox, rng = CollectorRegistry(), Inbox(1), random.Random(1)
    link = BrokerLink(
        BrokerAccess("localhost", 1),
        inbox,
        cast("Ledger", None),
        Patience(rng, lambda: None),
        settings=Settings(),
        own_filters=[],
        host=None,
        metrics=metrics(numbers),
        now_ms=lambda: 0,
        rng=rng,
        on_loss=tell_nobody,
    )

    link.acknowledge(Batch(reached=[Reach(_PUMP, f"k{n}", 1) for n in range(100_003)]))

    assert numbers.get_sample_value("tidegate_ingest_acks_dropped_total") == 3
    assert len(link._unsaid) == 100_000
    assert next(iter(link._unsaid)) == (_PUMP, "k3")
    link.free()
    inbox.free()
