"""amqtt's broker with our accounts, rules, sessions and bounds.

amqtt's plugins are asked too late for us: when they are, an unauthenticated client has already
deleted or taken over the session whose client id it named. So the methods around them are
replaced; of amqtt remain the packets, the subscriptions and the retained messages.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog
from amqtt.adapters import ReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import AMQTT_MAGIC_VALUE_RET_SUBSCRIBED, Broker, Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.session import Session

from broker.accounts import Account, verify_password
from broker.embedded.handler import Handler
from broker.embedded.opening import (
    CONNECT_TIMEOUT_S,
    UNSUPPORTED_VERSION,
    Reader,
    is_mqtt5,
    read_connect,
)
from broker.embedded.outbox import Bounds, Outbox, Outgoing
from broker.rules import Rules

_LOG = structlog.get_logger()
_LISTENER = "default"
_SESSION_EXPIRY_S = 14 * 24 * 3600
_MAX_CONNECTIONS = 10_000
_MAX_QOS = 1
_KEEPALIVE_GRACE = 1.5
_CLOSE_TIMEOUT_S = 5.0
_OUTBOX = "tidegate.outbox"
_HASH = "tidegate.password_hash"


@dataclass(frozen=True, slots=True)
class _Connection:
    """A live connection of a client id, and its end."""

    handler: Handler
    ended: anyio.Event


class EmbeddedBroker(Broker):
    """A broker for one machine, in memory."""

    def __init__(self, rules: Rules, accounts: Iterable[Account], bounds: Bounds) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL)
        super().__init__(
            BrokerConfig(
                listeners={_LISTENER: listener},
                session_expiry_interval=_SESSION_EXPIRY_S,
                plugins={},
            )
        )
        self._rules = rules
        self._bounds = bounds
        self._hashes = dict(accounts)
        self._live: dict[str, _Connection] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._wildcard_filters: list[str] | None = None

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        """Replace the accounts and disconnect clients whose account is gone or changed."""
        self._hashes = dict(accounts)
        for client_id, (session, _) in list(self._sessions.items()):
            if self._hashes.get(client_id) == session.attributes.get(_HASH):
                continue
            if client_id in self._live:
                self._live[client_id].handler.gone.set()
            elif client_id not in self._hashes:
                await self._cleanup_session(client_id)

    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it is gone; called for each connection."""
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= _MAX_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._serve(stream, writer)
        except (OSError, EOFError, ValueError, LookupError, TimeoutError) as exc:
            _LOG.info("broker.client_failed", reason=str(exc) or type(exc).__name__)
        except (AMQTTError, MQTTError, NoDataError) as exc:
            _LOG.info("broker.client_failed", reason=str(exc))
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def close_connections(self) -> None:
        """End all connections and wait for their ends."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)

    async def _serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with anyio.fail_after(CONNECT_TIMEOUT_S):
            connect = await read_connect(stream)
        if is_mqtt5(connect):
            writer.write(UNSUPPORTED_VERSION)
            with anyio.move_on_after(_CLOSE_TIMEOUT_S):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            return
        await self.external_connected(
            Reader(stream, connect), StreamWriterAdapter(writer), _LISTENER
        )

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[Handler, Session]:
        """Read CONNECT and decide, before any stored session is touched."""
        handler, session = await Handler.init_from_connect(reader, writer, self.plugins_manager)
        reason = self._refusal(session)
        if reason:
            _LOG.warning("broker.client_refused", username=session.username, reason=reason)
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError(reason)
        # As Mosquitto's use_username_as_clientid: whatever the client called itself.
        session.client_id = session.username
        session.attributes[_HASH] = self._hashes[session.username]
        session.keep_alive = math.ceil(session.keep_alive * _KEEPALIVE_GRACE)
        return handler, session

    def _refusal(self, session: Session) -> str | None:
        password_hash = self._hashes.get(session.username or "")
        if not session.username or password_hash is None:
            return "unknown user name"
        if session.password is None or not verify_password(session.password, password_hash):
            return "wrong password"
        will = session.will_topic if session.will_flag else None
        if will is not None and not self._may_write(session.username, will):
            return "last will on a topic that it may not write"
        return None

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: Handler,
        server: Server,
        listener_name: str,
    ) -> None:
        """Serve an authenticated client: one connection for each client id at a time."""
        client_id = client_session.client_id
        async with self._sole_connection(client_id, handler):
            session = await self._resume(client_session)
            session.transitions.connect()
            handler.attach(session, reader, writer)
            handler.deliver_from(session.attributes[_OUTBOX])
            self._sessions[client_id] = (session, handler)
            try:
                await handler.mqtt_connack_authorize(authorize=True)
                await handler.start()
                await self._exchange(session, handler)
            finally:
                await self._finish(session, handler)

    @asynccontextmanager
    async def _sole_connection(self, client_id: str, handler: Handler) -> AsyncIterator[None]:
        """End an older connection of the same client and wait until it has ended."""
        while (older := self._live.get(client_id)) is not None:
            older.handler.gone.set()
            await older.ended.wait()
        connection = self._live[client_id] = _Connection(handler, anyio.Event())
        try:
            yield
        finally:
            del self._live[client_id]
            connection.ended.set()

    async def _resume(self, fresh: Session) -> Session:
        """Return the stored session with the new connection's data, or the fresh one."""
        stored, _ = self._sessions.get(fresh.client_id, (None, None))
        if stored is None or fresh.clean_session or stored.clean_session:
            await self._delete_session(fresh.client_id)
            fresh.attributes[_OUTBOX] = Outbox(self._bounds)
            fresh.parent = 0
            return fresh
        for name in ("flag", "retain", "qos", "topic", "message"):
            setattr(stored, f"will_{name}", getattr(fresh, f"will_{name}"))
        stored.keep_alive = fresh.keep_alive
        stored.attributes[_HASH] = fresh.attributes[_HASH]
        stored.parent = 1
        return stored

    async def _exchange(self, session: Session, handler: Handler) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(handler.pump)
            group.start_soon(self._take_messages, session, handler)
            group.start_soon(self._take_subscriptions, session, handler)
            group.start_soon(self._take_unsubscriptions, session, handler)
            await handler.gone.wait()
            group.cancel_scope.cancel()

    async def _finish(self, session: Session, handler: Handler) -> None:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await self._stop_handler(handler)
        session.transitions.disconnect()
        # What was received (and acknowledged) before the end is still passed on.
        while not session.delivered_message_queue.empty():
            await self._take(session, handler)
        if session.will_flag and not handler.said_goodbye:
            await self._publish(
                session.will_topic, session.will_message, session.will_qos, session.will_retain
            )

    async def _take_messages(self, session: Session, handler: Handler) -> None:
        while True:
            await self._take(session, handler)

    async def _take(self, session: Session, handler: Handler) -> None:
        message = await session.delivered_message_queue.get()
        if self._may_write(session.client_id, message.topic):
            await self._publish(message.topic, message.data, message.qos, message.retain)
            return
        if not handler.denials:
            _LOG.warning("broker.publish_denied", username=session.client_id, topic=message.topic)
        handler.denials += 1

    async def _publish(self, topic: str, data: bytes, qos: int | None, retain: bool | None) -> None:
        self._broadcast(topic, bytes(data or b""), qos or 0)
        if retain:
            await self.retain_message(None, topic, data, qos)

    def _broadcast(self, topic: str, data: bytes, qos: int) -> None:
        exact = [topic] if topic in self._subscriptions else []
        wildcards = [each for each in self._wildcards() if self._matches(topic, each)]
        for topic_filter in (*exact, *wildcards):
            for session, most_qos in self._subscriptions[topic_filter]:
                message = Outgoing(topic, data, min(qos, most_qos))
                if self._rules.allows(session.client_id, "read", topic):
                    self._put(session, message)

    def _put(self, session: Session, message: Outgoing) -> None:
        connection = self._live.get(session.client_id)
        if connection is None and (session.clean_session or not message.qos):
            return
        outbox: Outbox = session.attributes[_OUTBOX]
        if not outbox.put(message) and outbox.dropped == 1:
            _LOG.error("broker.queue_full", username=session.client_id, waiting=outbox.waiting)
        if connection is not None:
            connection.handler.wake()

    async def _take_subscriptions(self, session: Session, handler: Handler) -> None:
        while True:
            request = await handler.get_next_pending_subscription()
            granted = [await self.add_subscription(each, session) for each in request.topics]
            await handler.mqtt_acknowledge_subscription(request.packet_id, granted)
            for (topic_filter, _), qos in zip(request.topics, granted, strict=True):
                if qos != AMQTT_MAGIC_VALUE_RET_SUBSCRIBED:
                    self._send_retained(topic_filter, qos, session)

    async def _take_unsubscriptions(self, session: Session, handler: Handler) -> None:
        while True:
            request = await handler.get_next_pending_unsubscription()
            for topic_filter in request.topics:
                self._del_subscription(topic_filter, session)
                if not self._subscriptions.get(topic_filter, [session]):
                    del self._subscriptions[topic_filter]
            self._wildcard_filters = None
            await handler.mqtt_acknowledge_unsubscription(request.packet_id)

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
        if action == Action.SUBSCRIBE:
            return self._rules.allows_subscription(session.client_id, topic)
        access = "write" if action == Action.PUBLISH else "read"
        return self._rules.allows(session.client_id, access, topic)

    def _send_retained(self, topic_filter: str, qos: int, session: Session) -> None:
        for topic, kept in self._retained_messages.items():
            if self._matches(topic, topic_filter) and self._rules.allows(
                session.client_id, "read", topic
            ):
                lower_qos = min(qos, kept.qos or 0)
                self._put(session, Outgoing(topic, bytes(kept.data), lower_qos, retain=True))

    def _may_write(self, username: str, topic: str) -> bool:
        wildcards = "+" in topic or "#" in topic
        return not wildcards and self._rules.allows(username, "write", topic)

    def _wildcards(self) -> list[str]:
        if self._wildcard_filters is None:
            self._wildcard_filters = [f for f in self._subscriptions if "+" in f or "#" in f]
        return self._wildcard_filters
