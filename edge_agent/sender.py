"""Sends held readings over whatever connection there is, and minds the answers.

Lives as long as the agent, across connections; used by the publisher's thread only.
"""

import logging
import random
from collections.abc import Callable

from edge_agent.backoff import reconnecting
from edge_agent.clock import Clock
from edge_agent.connection import Accepted, Connection, Message, Received, Refused, Taken
from edge_agent.errors import OutboxFailed
from edge_agent.flight import Batch, Flight
from edge_agent.notice import Notice
from edge_agent.outbox import Outbox
from edge_agent.packing import Packed, pack
from edge_agent.settings import Mqtt
from wire.codecs import json as codec
from wire.errors import Malformed
from wire.ids import DeviceKey
from wire.topics import topic

log = logging.getLogger(__name__)

_HEADER_BYTES = 16
"""Upper bound of a PUBLISH packet's bytes beside topic and payload."""


class Sender:
    """Outbox to broker: batches, acknowledgements, refusals, resending."""

    def __init__(
        self,
        outbox: Outbox,
        settings: Mqtt,
        *,
        device: DeviceKey,
        clock: Clock,
        rng: random.Random,
        new_boot: Callable[[], str],
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._topic = topic(device, "telemetry")
        self._clock = clock
        self._new_boot = new_boot
        self._retry = reconnecting(
            rng, min_s=settings.reconnect_min_s, max_s=settings.reconnect_max_s
        )
        self._paused_until_s: float | None = None
        self._max_payload_bytes = settings.max_payload_bytes
        self._refusals = Notice(log, "publish")
        self._audience = Notice(log, "audience")
        self._disk = Notice(log, "outbox")
        self.flight = Flight(
            window=settings.window_messages,
            timeout_s=settings.ack_timeout_s,
            timeout_max_s=settings.ack_timeout_max_s,
        )

    def accepted(self, limits: Accepted) -> None:
        """Begin on a new connection with the broker's limits."""
        self._max_payload_bytes = self._settings.max_payload_bytes
        if limits.max_packet_bytes is not None:
            room = limits.max_packet_bytes - len(self._topic.encode()) - _HEADER_BYTES
            self._max_payload_bytes = min(self._max_payload_bytes, room)
        self._paused_until_s = None
        first = self._outbox.state.first
        self.flight.connected(first, self._clock.monotonic_s(), window=limits.window)

    def pump(self, connection: Connection) -> None:
        """Send what is to be sent now, as far as the window allows."""
        try:
            while self._send_one(connection):
                pass
            self._disk.worked()
        except OutboxFailed as exc:
            self._disk.failed(exc)
            self._pause()

    def taken(self, event: Taken) -> bool:
        """Note a PUBACK; return whether it answers one of our batches."""
        if not self.flight.taken(event.mid, self._clock.monotonic_s()):
            return False
        self._refusals.worked()
        self._retry.reset()
        if event.unheard:
            self._audience.failed("nobody subscribes to our topic; is the cloud connected?")
        else:
            self._audience.worked()
        return True

    def refused(self, event: Refused) -> None:
        """Note that the broker refused a message; try again after a growing delay."""
        if self.flight.refused(event.mid):
            self._refusals.failed(event.reason)
            self._pause()

    def received(self, event: Received) -> None:
        """Act on an end-to-end acknowledgement; one that makes no sense is logged, not obeyed."""
        try:
            ack = codec.decode_ack(event.payload)
        except Malformed as exc:
            log.warning("ack.malformed reason=%s", exc)
            return
        state = self._outbox.state
        try:
            if ack.boot == state.boot and ack.seq >= state.next_seq:
                self._begin_new_boot(ack.seq)
            elif self._outbox.acknowledge(ack):
                self.flight.acknowledged(ack.seq, self._clock.monotonic_s())
        except OutboxFailed as exc:
            self._disk.failed(exc)

    def wake_s(self) -> float | None:
        """Return when `pump` should be called again though nothing happened."""
        return self._paused_until_s or self.flight.wake_s()

    def is_idle(self) -> bool:
        """Tell whether the broker has taken everything that is held."""
        return self.flight.is_idle(self._outbox.state.next_seq)

    def _send_one(self, connection: Connection) -> bool:
        """Send one batch if one is to be sent now; return whether to look for another."""
        now_s = self._clock.monotonic_s()
        if self._paused_until_s is not None:
            if now_s < self._paused_until_s:
                return False
            self._paused_until_s = None
        state = self._outbox.state
        seq = self.flight.next_seq(state.first, state.next_seq, now_s)
        if seq is None:
            return False
        readings = self._outbox.read(seq, self._settings.batch_readings)
        packed = pack(
            readings, boot=state.boot, first=state.first, max_bytes=self._max_payload_bytes
        )
        if packed is None:
            self._pass_over(seq)
        else:
            self._send(connection, packed, now_s)
        return True

    def _send(self, connection: Connection, packed: Packed, now_s: float) -> None:
        mid = connection.publish(Message(self._topic, packed.payload))
        first, last = packed.readings[0].seq or 0, packed.readings[-1].seq or 0
        self.flight.sent(mid, Batch(first, last), now_s)

    def _pass_over(self, seq: int) -> None:
        """Go on behind a reading that is too large for this broker.

        It is dropped, as a gap, once it is the oldest one held: only then can the cloud's
        acknowledgement pass it.
        """
        if seq == self._outbox.state.first:
            log.error("reading.too_large seq=%d max_bytes=%d", seq, self._max_payload_bytes)
            self._outbox.drop_until(seq)
        self.flight.skip(seq)

    def _begin_new_boot(self, acknowledged: int) -> None:
        boot = self._new_boot()
        log.error(
            "outbox.behind acknowledged=%d next=%d new_boot=%s reason=restored from an old copy?",
            acknowledged,
            self._outbox.state.next_seq,
            boot,
        )
        self._outbox.begin_new_boot(boot)
        self.flight.renumbered()

    def _pause(self) -> None:
        self._paused_until_s = self._clock.monotonic_s() + self._retry.next_s()
