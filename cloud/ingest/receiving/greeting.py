"""What the broker and we say to each other before messages flow, and when they end.

One object for one connection: it subscribes, brings the session's filters to what we want now,
and knows why the connection ended.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.reasoncodes import ReasonCode

from cloud.ingest.receiving.client import BulkClient
from cloud.ingest.receiving.filters import Filter
from cloud.ingest.receiving.host_state import HostState
from cloud.ingest.receiving.news import News
from cloud.ingest.receiving.reconnecting import TAKEN_OVER, explained

_log = structlog.get_logger()


def _to_nobody(_news: News) -> None:
    """Say nothing."""


class Greeting:
    """One connection's state. `known` are filters that the broker's session may still hold."""

    def __init__(
        self,
        filters: Sequence[Filter],
        *,
        known: Collection[str] = (),
        expects_session: bool = False,
        on_news: Callable[[News], None] = _to_nobody,
        host_state: HostState | None = None,
    ) -> None:
        self._filters = filters
        self._stale = sorted(set(known) - {one.text for one in filters})
        self._expects_session = expects_session
        self._on_news = on_news
        self._host_state = host_state
        self._subscribed_at_s: float | None = None
        self.is_subscribed = False
        self.was_taken_over = False
        self.end_reason = "connection lost"

    def listen_to(self, client: BulkClient) -> None:
        """Handle the connection's greetings; to be called before it is made."""
        if self._host_state is not None:
            self._host_state.leave_will(client)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_disconnect = self._on_disconnect

    def lasted_s(self, now_s: float) -> float:
        """Return for how long messages have flowed, in seconds."""
        return 0.0 if self._subscribed_at_s is None else now_s - self._subscribed_at_s

    def end(self) -> None:
        """Note that nothing is delivered any more."""
        self.is_subscribed = False

    def _on_connect(
        self,
        client: Any,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self.end_reason = f"the broker refuses us: {explained(reason.value, str(reason))}"
            return
        if self._expects_session and not flags.session_present:
            self._on_news(News("session_lost"))
        client.subscribe_to(self._filters)

    def _on_subscribe(
        self,
        client: Any,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        refused = [
            one for one, reason in zip(self._filters, reasons, strict=False) if reason.is_failure
        ]
        for one in refused:
            if one.is_needed:
                self.end_reason = (
                    f"the broker refuses our subscription to {one.text}: check its ACL"
                )
                client.disconnect()
                return
            _log.info("subscription.refused", filter=one.text)
        if self._host_state is not None:
            self._host_state.say_online(client)
        self.is_subscribed = True
        self._subscribed_at_s = time.monotonic()
        self._on_news(News("subscribed"))
        # Only now: what both match must not be missed in between. What comes twice is known by
        # its sequence.
        if self._stale:
            _log.info("filters.removed", filters=self._stale)
            client.unsubscribe(self._stale)
        else:
            self._on_news(News("settled"))

    def _on_unsubscribe(
        self,
        _client: Any,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.warning("filters.stay", filters=self._stale, reasons=list(map(str, reasons)))
            return
        self._on_news(News("settled"))

    def _on_disconnect(
        self,
        _client: Any,
        _userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.was_taken_over = reason.value == TAKEN_OVER
            self.end_reason = explained(reason.value, str(reason))
        elif self.end_reason == "connection lost" and str(reason) == "Keep alive timeout":
            self.end_reason = "the broker has not answered for twice the keep-alive time"
