"""One connection: amqtt reads and writes the packets, our `Outbox` keeps what was sent."""

from typing import Any

import anyio
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.session import Session

from broker.embedded.outbox import Outbox, Outgoing

# Publications of one client that wait for their PUBACK to be written: a client that does not read
# its own is not read from, and given up after its keepalive.
_MAX_BUSY = 1_000


class Handler(BrokerProtocolHandler):  # type: ignore[misc] # amqtt's types are not published
    """amqtt's connection with our delivery, and an end that is noticed in every case."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gone = anyio.Event()
        self.said_goodbye = False
        self.denials = 0
        self._outbox: Outbox | None = None
        self._wake = anyio.Event()
        self._busy = 0
        self._room = anyio.Event()

    def attach(self, session: Session, reader: ReaderAdapter, writer: WriterAdapter) -> None:
        """Serve a session; no more is read while too many publications are being answered."""
        super().attach(session, reader, writer)
        reader.gate = self._wait_for_room

    def deliver_from(self, outbox: Outbox) -> None:
        """Send what the session holds, first of all what is unacknowledged."""
        self._outbox = outbox
        outbox.resume()

    def wake(self) -> None:
        """Look at the outbox again."""
        self._wake.set()

    async def pump(self) -> None:
        """Send from the outbox until cancelled; a slow client delays only itself."""
        while self._outbox is not None:
            message = self._outbox.next()
            if message is None:
                self._wake = anyio.Event()
                await self._wake.wait()
            else:
                await self._send_packet(_packet(message))

    async def handle_publish(self, publish_packet: PublishPacket) -> None:
        """Take a publication; amqtt runs a task for each, and reads on meanwhile."""
        self._busy += 1
        try:
            await super().handle_publish(publish_packet)
        finally:
            self._busy -= 1
            self._room.set()

    async def _wait_for_room(self) -> None:
        while self._busy >= _MAX_BUSY:
            self._room = anyio.Event()
            await self._room.wait()

    async def handle_puback(self, puback: PubackPacket) -> None:
        """Forget the acknowledged message, at any time after it was sent."""
        if puback.variable_header is not None and self._outbox is not None:
            self._outbox.acknowledge(puback.variable_header.packet_id)
            self.wake()

    async def handle_disconnect(self, disconnect: DisconnectPacket | None) -> None:
        """Note how the connection ended: only after a DISCONNECT the will is not sent."""
        if not self.gone.is_set():
            self.said_goodbye = disconnect is not None
            self.gone.set()
        await super().handle_disconnect(disconnect)

    def handle_read_timeout(self) -> None:
        """Give up a client that was silent for longer than its keepalive (amqtt waits on)."""
        self.gone.set()

    async def _retry_deliveries(self) -> None:
        """Leave redelivery to `pump`: amqtt's own holds up the connection for up to 10 s."""


def _packet(message: Outgoing) -> PublishPacket:
    return PublishPacket.build(
        message.topic, message.data, message.packet_id, message.dup, message.qos, message.retain
    )
