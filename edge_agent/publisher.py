"""Keeps a connection to the broker for as long as the agent runs.

One thread owns the connection and everything that is decided about it; others only `wake` it.
"""

import logging
import random
import threading
from collections.abc import Callable

from edge_agent.backoff import reconnecting
from edge_agent.clock import Clock
from edge_agent.connection import (
    Accepted,
    Closed,
    Connect,
    Connection,
    Event,
    Received,
    Refused,
    Taken,
)
from edge_agent.errors import BrokerAway
from edge_agent.notice import Notice
from edge_agent.sender import Sender
from edge_agent.settings import Mqtt
from edge_agent.status import Presence
from edge_agent.versions import Versions

log = logging.getLogger(__name__)

STEP_MAX_S = 5.0
"""How long a step may wait when nothing is due: keep-alive is checked between steps."""
FAREWELL_S = 1.0
"""How much of the time for stopping is kept for the offline status."""


class Publisher:
    """Connects, reconnects with growing delays, says hello and goodbye."""

    def __init__(
        self,
        sender: Sender,
        settings: Mqtt,
        *,
        presence: Presence,
        connect: Connect,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._sender = sender
        self._settings = settings
        self._presence = presence
        self._connect = connect
        self._clock = clock
        self._delays = reconnecting(
            rng, min_s=settings.reconnect_min_s, max_s=settings.reconnect_max_s
        )
        self._away = Notice(log, "broker")
        self._versions = Versions(settings.version)
        self._connection: Connection | None = None
        self._is_accepted = False
        self._answer_by_s = 0.0
        self._stop = threading.Event()
        self._stop_by_s = 0.0
        self._thread = threading.Thread(target=self._run, name="edge-publisher", daemon=True)

    @property
    def is_connected(self) -> bool:
        """Tell whether a broker has accepted us and is still there."""
        return self._is_accepted

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that the outbox has something new. Any thread may call it."""
        connection = self._connection
        if connection is not None:
            connection.wake()

    def stop(self, timeout_s: float) -> bool:
        """Send what is waiting, say goodbye, end; return whether it was done in time."""
        self._stop_by_s = self._clock.monotonic_s() + timeout_s
        self._stop.set()
        self.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                reason = self._one_connection()
            except Exception as exc:
                # The thread's supervisor: a bug, here or in a library, costs one connection,
                # not all that the device would measure from now on.
                log.exception("publisher.crashed")
                reason = repr(exc)
            if self._stop.is_set():
                return
            self._away.failed(reason)
            self._stop.wait(self._delays.next_s())

    def _one_connection(self) -> str:
        """Live through one connection; return why it ended."""
        connection = self._connect(self._versions.current, self._presence.will())
        try:
            connection.open()
            timeout_s = self._settings.connect_timeout_s
            self._answer_by_s = self._clock.monotonic_s() + timeout_s
            self._connection = connection
            return self._drive(connection)
        except BrokerAway as exc:
            return str(exc)
        finally:
            self._connection = None
            if self._is_accepted:
                self._versions.ended()
            self._is_accepted = False
            connection.close()

    def _drive(self, connection: Connection) -> str:
        while True:
            if self._stop.is_set():
                self._say_goodbye(connection)
                return "stopped"
            for event in connection.step(self._patience_s()):
                if isinstance(event, Closed):
                    return self._closed(event)
                self._handle(event, connection)
            if self._is_accepted:
                self._sender.pump(connection)
            if self._is_accepted and self._is_stalled():
                return "the broker takes nothing"
            if self._is_mute():
                self._versions.maybe_unknown()
                return "no answer"

    def _handle(self, event: Event, connection: Connection) -> None:
        match event:
            case Accepted():
                self._accepted(event, connection)
            case Taken():
                if self._sender.taken(event):
                    # Only now: a broker that accepts us and then hangs up must not be hammered.
                    self._delays.reset()
            case Refused():
                self._sender.refused(event)
            case Received():
                self._sender.received(event)

    def _accepted(self, limits: Accepted, connection: Connection) -> None:
        self._is_accepted = True
        self._away.worked()
        log.info("broker.connected host=%s mqtt=%s", self._settings.host, self._versions.current)
        connection.subscribe(self._presence.ack_topic)
        connection.publish(self._presence.birth())
        self._sender.accepted(limits)

    def _closed(self, event: Closed) -> str:
        if event.version == "refused":
            self._versions.refused()
        elif event.version == "maybe_unknown":
            self._versions.maybe_unknown()
        return event.reason

    def _patience_s(self) -> float:
        """Return how long nothing needs to be done unless something happens."""
        now_s = self._clock.monotonic_s()
        due_s = self._sender.wake_s() if self._is_accepted else self._answer_by_s
        return STEP_MAX_S if due_s is None else min(STEP_MAX_S, max(0.0, due_s - now_s))

    def _is_stalled(self) -> bool:
        """Tell whether a PUBACK is overdue.

        Bytes alone are no life: a length that was damaged on its way makes one packet of all
        that follows, ping answers included, and paho then never finds the connection dead.
        """
        since_s = self._sender.flight.stalled_s()
        timeout_s = self._settings.puback_timeout_s
        return since_s is not None and self._clock.monotonic_s() - since_s > timeout_s

    def _is_mute(self) -> bool:
        return not self._is_accepted and self._clock.monotonic_s() >= self._answer_by_s

    def _say_goodbye(self, connection: Connection) -> None:
        """Send what is waiting as far as the time allows, then the offline status."""
        if not self._is_accepted:
            return
        self._until(connection, self._stop_by_s - FAREWELL_S, self._sender.is_idle)
        answered: set[int] = set()
        mid = connection.publish(self._presence.will())
        self._until(connection, self._stop_by_s, lambda: mid in answered, answered=answered)

    def _until(
        self,
        connection: Connection,
        deadline_s: float,
        is_done: Callable[[], bool],
        answered: set[int] | None = None,
    ) -> None:
        """Go on with the connection until something is done, or until a time."""
        self._sender.pump(connection)
        while not is_done() and (left_s := deadline_s - self._clock.monotonic_s()) > 0:
            for event in connection.step(min(left_s, self._patience_s())):
                if isinstance(event, Closed):
                    return
                if answered is not None and isinstance(event, Taken | Refused):
                    answered.add(event.mid)
                self._handle(event, connection)
            self._sender.pump(connection)
