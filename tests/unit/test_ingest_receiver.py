"""Acknowledgements belong to the connection on which their messages came."""

import random
from collections.abc import Iterator
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from cloud.ingest.client import BrokerAccess, BulkClient
from cloud.ingest.frames import Messages
from cloud.ingest.inbox import Chunk, Inbox
from cloud.ingest.metrics import metrics
from cloud.ingest.receiver import Receiver


class _Client:
    """Remembers what it was told to acknowledge and publish."""

    def __init__(self) -> None:
        self.acknowledged: list[bytes] = []
        self.published: list[str] = []

    def acknowledge(self, mids: list[bytes]) -> None:
        self.acknowledged += mids

    def publish(self, topic: str, _payload: bytes, *, qos: int) -> None:
        self.published.append(topic)

    def want_write(self) -> bool:
        return False

    def excuse_silence(self) -> None:
        self.excused = True


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Return an inbox for one message."""
    made = Inbox(1)
    yield made
    made.free()


@pytest.fixture
def receiver(inbox: Inbox) -> Iterator[Receiver]:
    """Return a receiver on its second connection."""
    made = Receiver(
        BrokerAccess("localhost", 1),
        inbox,
        metrics=metrics(CollectorRegistry()),
        now_ms=lambda: 0,
        max_unacknowledged=1,
        rng=random.Random(1),
    )
    made._generation = 2
    made.subscribed = True
    yield made
    made._wake.close()


def test_receiver_skips_acknowledgements_of_an_earlier_connection(receiver: Receiver) -> None:
    """The same ids may name other messages by now: acknowledging them would lose those."""
    client = _Client()
    receiver.acknowledge(1, [b"\x00\x01"])
    receiver.acknowledge(2, [b"\x00\x02", b"\x00\x03"])
    receiver.publish([("t/a/b/ack", b"{}")])

    receiver._flush(cast("BulkClient", client))

    assert client.acknowledged == [b"\x00\x02", b"\x00\x03"]
    assert client.published == ["t/a/b/ack"]


def test_receiver_reads_only_while_there_is_room(receiver: Receiver, inbox: Inbox) -> None:
    """A full inbox stops the reading; before the subscription stands, reading goes on."""
    client = cast("BulkClient", _Client())
    with_room = receiver._wanted(client)
    inbox.put(Chunk(Messages([b"t"], [b""], [b""], [0]), 0))
    without_room = receiver._wanted(client)
    receiver.subscribed = False
    while_connecting = receiver._wanted(client)
    inbox.release(1)

    assert (bool(with_room), without_room, bool(while_connecting)) == (True, 0, True)
