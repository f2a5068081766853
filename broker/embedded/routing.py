"""Who gets a message: subscriptions, retained messages and the rules, for each session's outbox."""

from dataclasses import dataclass
from typing import Literal

import anyio
import structlog
from amqtt.broker import AMQTT_MAGIC_VALUE_RET_SUBSCRIBED, Broker
from amqtt.contexts import Action, BrokerConfig
from amqtt.session import ApplicationMessage, Session

from broker.embedded.handler import Handler
from broker.embedded.outbox import Outbox, Outgoing
from broker.rules import Rules

_LOG = structlog.get_logger()
_MAX_QOS = 1
_OUTBOX = "tidegate.outbox"


@dataclass(frozen=True, slots=True)
class Connection:
    """A live connection of a client id, and its end."""

    handler: Handler
    ended: anyio.Event


def outbox_of(session: Session) -> Outbox:
    """Return the session's outbox."""
    found: Outbox = session.attributes[_OUTBOX]
    return found


def give_outbox(session: Session, outbox: Outbox) -> None:
    """Let a new session keep its messages there."""
    session.attributes[_OUTBOX] = outbox


class Routing(Broker):  # type: ignore[misc] # amqtt's types are not published
    """The part of the broker that passes messages on.

    A message is put into the outboxes at once, without amqtt's queue and its task per delivery.
    """

    def __init__(self, config: BrokerConfig, rules: Rules) -> None:
        super().__init__(config)
        self._rules = rules
        self._live: dict[str, Connection] = {}
        self._wildcard_filters: list[str] | None = None

    async def take_subscriptions(self, session: Session, handler: Handler) -> None:
        """Answer SUBSCRIBE packets until cancelled."""
        while True:
            request = await handler.get_next_pending_subscription()
            granted = [await self.add_subscription(each, session) for each in request.topics]
            await handler.mqtt_acknowledge_subscription(request.packet_id, granted)
            for (topic_filter, _), qos in zip(request.topics, granted, strict=True):
                if qos != AMQTT_MAGIC_VALUE_RET_SUBSCRIBED:
                    self._send_retained(topic_filter, qos, session)

    async def take_unsubscriptions(self, session: Session, handler: Handler) -> None:
        """Answer UNSUBSCRIBE packets until cancelled."""
        while True:
            request = await handler.get_next_pending_unsubscription()
            for topic_filter in request.topics:
                self._del_subscription(topic_filter, session)
                if not self._subscriptions.get(topic_filter, [session]):
                    del self._subscriptions[topic_filter]
            self._wildcard_filters = None
            await handler.mqtt_acknowledge_unsubscription(request.packet_id)

    async def take_messages(self, session: Session, handler: Handler) -> None:
        """Pass on what the client publishes until cancelled."""
        while True:
            await self.pass_on(session, handler, await session.delivered_message_queue.get())

    async def pass_on(
        self, session: Session, handler: Handler, message: ApplicationMessage
    ) -> None:
        """Pass one message on if its sender may write to its topic; count it otherwise.

        MQTT 3.1.1 has no answer that says no: the sender gets its PUBACK all the same.
        """
        if self.may_write(session.client_id, message.topic):
            await self.publish(message)
            return
        if not handler.denials:
            _LOG.warning("broker.publish_denied", username=session.client_id, topic=message.topic)
        handler.denials += 1

    async def publish(self, message: ApplicationMessage) -> None:
        """Give a message to everybody who subscribed to its topic and may read it."""
        data = bytes(message.data or b"")
        for session, most_qos in self._subscribers(message.topic):
            if self._may("read", session, message.topic):
                self._put(session, Outgoing(message.topic, data, min(message.qos or 0, most_qos)))
        if message.retain:
            await self.retain_message(None, message.topic, data, message.qos)

    def may_write(self, username: str, topic: str) -> bool:
        """Tell whether the account may publish to the topic; never to one with a wildcard."""
        wildcards = "+" in topic or "#" in topic
        return not wildcards and self._rules.allows(username, "write", topic)

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Subscribe with at most QoS 1; a repeated subscription replaces the earlier one."""
        topic_filter, qos = subscription
        self._del_subscription(topic_filter, session)
        granted = await super().add_subscription((topic_filter, min(qos, _MAX_QOS)), session)
        self._wildcard_filters = None
        return int(granted)

    async def _del_all_subscriptions(self, session: Session) -> None:
        await super()._del_all_subscriptions(session)
        self._wildcard_filters = None

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """Answer amqtt's own question, which it would put to plugins."""
        if action == Action.SUBSCRIBE:
            return self._rules.allows_subscription(session.client_id, topic)
        return self._may("write" if action == Action.PUBLISH else "read", session, topic)

    def _may(self, access: Literal["read", "write"], session: Session, topic: str) -> bool:
        return self._rules.allows(session.client_id, access, topic)

    def _subscribers(self, topic: str) -> list[tuple[Session, int]]:
        found: list[tuple[Session, int]] = list(self._subscriptions.get(topic, ()))
        for topic_filter in self._wildcards():
            if self._matches(topic, topic_filter):
                found.extend(self._subscriptions[topic_filter])
        return found

    def _wildcards(self) -> list[str]:
        if self._wildcard_filters is None:
            self._wildcard_filters = [f for f in self._subscriptions if "+" in f or "#" in f]
        return self._wildcard_filters

    def _send_retained(self, topic_filter: str, qos: int, session: Session) -> None:
        for topic, kept in self._retained_messages.items():
            if self._matches(topic, topic_filter) and self._may("read", session, topic):
                lower_qos = min(qos, kept.qos or 0)
                self._put(session, Outgoing(topic, bytes(kept.data), lower_qos, retain=True))

    def _put(self, session: Session, message: Outgoing) -> None:
        connection: Connection | None = self._live.get(session.client_id)
        if connection is None and (session.clean_session or not message.qos):
            return
        outbox = outbox_of(session)
        if not outbox.put(message) and outbox.dropped == 1:
            _LOG.error("broker.queue_full", username=session.client_id, waiting=outbox.waiting)
        if connection is not None:
            connection.handler.wake()
