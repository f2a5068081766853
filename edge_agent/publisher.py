"""Sends what the outbox holds to the broker, for as long as the agent runs.

One thread owns the connection, the flight and every decision; others only `wake` it.
"""

import logging
import random
import threading
from collections.abc import Callable

import msgspec

from edge_agent.backoff import Backoff
from edge_agent.clock import Clock
from edge_agent.connection import (
    Accepted,
    Closed,
    Connect,
    Connection,
    Event,
    Message,
    Received,
    Refused,
    Taken,
    Version,
)
from edge_agent.errors import BrokerAway, OutboxFailed
from edge_agent.flight import Flight
from edge_agent.notice import Notice
from edge_agent.outbox import Outbox
from edge_agent.packing import pack
from edge_agent.settings import Mqtt
from wire.codecs import json as codec
from wire.errors import Malformed
from wire.ids import DeviceKey
from wire.messages import Status
from wire.topics import topic

log = logging.getLogger(__name__)

_STEP_MAX_S = 5.0
"""How long a step may wait when nothing is due: keep-alive is checked between steps."""
_ANSWER_TIMEOUT_S = 30.0
"""How long a broker may take for a CONNACK or PUBACK until the connection is given up."""


class Publisher:
    """The sending side of the agent."""

    def __init__(
        self,
        outbox: Outbox,
        settings: Mqtt,
        *,
        device: DeviceKey,
        agent: str,
        connect: Connect,
        new_boot: Callable[[], str],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._device = device
        self._agent = agent
        self._connect = connect
        self._new_boot = new_boot
        self._clock = clock
        self._flight = Flight(
            window=settings.window_messages,
            timeout_s=settings.ack_timeout_s,
            timeout_max_s=settings.ack_timeout_max_s,
        )
        limits = {"min_s": settings.reconnect_min_s, "max_s": settings.reconnect_max_s}
        self._reconnect = Backoff(**limits, rng=rng)
        self._retry = Backoff(**limits, rng=rng)
        self._paused_until_s: float | None = None
        self._max_payload_bytes = settings.max_payload_bytes
        self._unsendable: set[int] = set()
        self._version: Version = "5"
        self._connection: Connection | None = None
        self._away = Notice(log, "broker")
        self._refusing = Notice(log, "publishing")
        self._unheard = Notice(log, "subscriber")
        self._disk = Notice(log, "outbox")
        self._stop = threading.Event()
        self._stop_by_s = 0.0
        self._thread = threading.Thread(target=self._run, name="edge-publisher", daemon=True)
        self.is_connected = False
        self.resends = 0
