"""Acknowledgements belong to the connection on which their messages came."""

import random
import selectors
from collections.abc import Iterator
from typing import cast

import pytest
from paho.mqtt.enums import MQTTErrorCode
from prometheus_client import CollectorRegistry

from cloud.ingest.inbox import Chunk, Inbox
from cloud.ingest.messages import Messages
from cloud.ingest.metrics import metrics
from cloud.ingest.receiving.client import BrokerAccess, BulkClient
from cloud.ingest.receiving.filters import filters_of
from cloud.ingest.receiving.receiver import Receiver


class _Client:
    """Remembers what it was told to acknowledge and publish."""

    def __init__(self) -> None:
        self.acknowledged: list[bytes] = []
        self.published: list[str] = []
        self.unsent = 0

    def acknowledge(self, mids: list[bytes]) -> None:
        self.acknowledged += mids

    def publish_all(self, messages: list[tuple[str, bytes]]) -> None:
        self.published += [topic for topic, _ in messages]
        self.unsent += 1

    def loop_read(self) -> None:
        """Have read two messages."""

    def loop_misc(self) -> MQTTErrorCode:
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def socket(self) -> object:
        return self

    def take_messages(self) -> Messages:
        return Messages([b"t"] * 2, [b"x"] * 2, [b"\0\1", b"\0\2"], [0x32] * 2)

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
        filters=filters_of([], group=None),
        metrics=metrics(CollectorRegistry()),
        now_ms=lambda: 0,
        max_unacknowledged=1,
        rng=random.Random(1),
        tell=lambda _news: None,
    )
    made._generation = 2
    made._greeting.is_subscribed = True
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
    """A full inbox stops the reading, also of what a session begins with."""
    client = cast("BulkClient", _Client())
    with_room = receiver._wanted(client)
    inbox.put(Chunk(Messages([b"t"], [b""], [b""], [0]), 0))
    without_room = receiver._wanted(client)
    receiver._greeting.end()
    while_connecting = receiver._wanted(client)
    inbox.release(1, 1)

    assert (bool(with_room), without_room, while_connecting) == (True, 0, 0)


def test_receiver_gives_a_broker_that_does_not_read_only_so_much(receiver: Receiver) -> None:
    """What it does not take stays in the bounded queue, where the oldest make room."""
    client = _Client()
    client.unsent = 18
    topics = [f"t/a/{n}/ack" for n in range(1_004)]
    receiver.publish([(topic, b"{}") for topic in topics])

    receiver._flush(cast("BulkClient", client))
    at_first = list(client.published)
    wants_to_write = bool(receiver._wanted(cast("BulkClient", client)) & selectors.EVENT_WRITE)
    client.unsent = 0
    receiver._flush(cast("BulkClient", client))

    assert at_first == topics[:1_000]
    assert wants_to_write
    assert client.published == topics


def test_receiver_takes_nothing_more_when_told_so(receiver: Receiver, inbox: Inbox) -> None:
    """While it stops, what comes is let go unacknowledged; acknowledging goes on."""
    client = _Client()
    receiver._turn(cast("BulkClient", client), selectors.EVENT_READ)
    before = inbox.held

    receiver.stop_taking()
    receiver._turn(cast("BulkClient", client), selectors.EVENT_READ)
    receiver.acknowledge(2, [b"\x00\x02"])
    receiver._flush(cast("BulkClient", client))

    assert (before, inbox.held) == (2, 2)
    assert receiver._wanted(cast("BulkClient", client)) & selectors.EVENT_READ
    assert client.acknowledged == [b"\x00\x02"]


def test_inbox_is_bounded_in_bytes_too() -> None:
    """Few large messages fill it like many small ones, and make room when they are durable."""
    inbox, full = Inbox(1_000, max_bytes=100), []
    inbox.on_room = lambda: full.append(False)
    inbox.put(Chunk(Messages([b"t"], [b"x" * 98], [b""], [0]), 0))
    with_room = inbox.has_room()
    inbox.put(Chunk(Messages([b"t"] * 2, [b"x" * 50, b""], [b""] * 2, [0] * 2), 0))
    without = inbox.has_room()

    inbox.release(1, 99)

    assert (with_room, without, inbox.has_room()) == (True, False, True)
    assert full == [False]
    inbox.free()
