"""amqtt's broker with our accounts, rules, sessions and bounds.

amqtt's plugins are asked too late for us: when they are, an unauthenticated client has already
deleted or taken over the session whose client id it named. So the methods around them are
replaced; of amqtt remain the packets, the table of subscriptions and the retained messages.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio
import structlog
from amqtt.adapters import ReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.session import IncomingApplicationMessage, Session

from broker.accounts import Account, verify_password
from broker.embedded.handler import Handler
from broker.embedded.opening import (
    CONNECT_TIMEOUT_S,
    UNSUPPORTED_VERSION,
    Reader,
    is_mqtt5,
    read_connect,
)
from broker.embedded.outbox import Bounds, Outbox
from broker.embedded.routing import Connection, Routing, give_outbox, outbox_of
from broker.rules import Rules

_LOG = structlog.get_logger()
_LISTENER = "default"
_SESSION_EXPIRY_S = 14 * 24 * 3600
_MAX_CONNECTIONS = 10_000
_KEEPALIVE_GRACE = 1.5
_CLOSE_TIMEOUT_S = 2.0
_HASH = "tidegate.password_hash"


class EmbeddedBroker(Routing):
    """A broker for one machine, in memory."""

    def __init__(self, rules: Rules, accounts: Iterable[Account], bounds: Bounds) -> None:
        # We accept the connections ourselves, and answer what plugins would be asked.
        listener = ListenerConfig(type=ListenerType.EXTERNAL)
        config = BrokerConfig(
            listeners={_LISTENER: listener},
            session_expiry_interval=_SESSION_EXPIRY_S,
            plugins={},
        )
        super().__init__(config, rules)
        self._bounds = bounds
        self._hashes = dict(accounts)
        self._tasks: set[asyncio.Task[object]] = set()

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
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            await self._serve(stream, writer)
        except (OSError, EOFError, ValueError, LookupError) as exc:
            _LOG.info("broker.client_failed", reason=str(exc) or type(exc).__name__)
        except (AMQTTError, MQTTError, NoDataError) as exc:
            _LOG.info("broker.client_failed", reason=str(exc))
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def close_connections(self) -> None:
        """End all connections and wait for their ends."""
        for connection in list(self._live.values()):
            connection.handler.gone.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()

    async def _serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with anyio.fail_after(CONNECT_TIMEOUT_S):
            connect = await read_connect(stream)
        if not is_mqtt5(connect):
            await self.external_connected(
                Reader(stream, connect), StreamWriterAdapter(writer), _LISTENER
            )
            return
        writer.write(UNSUPPORTED_VERSION)
        with anyio.move_on_after(_CLOSE_TIMEOUT_S):
            writer.close()
            await writer.wait_closed()

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, *_peer: object
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
        if session.will_flag and not self.may_write(session.username, session.will_topic):
            return "last will on a topic that it may not write"
        return None

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        fresh: Session,
        handler: Handler,
        *_listener: object,
    ) -> None:
        """Serve an authenticated client: one connection for each client id at a time."""
        async with self._sole_connection(fresh.client_id, handler):
            session = await self._resume(fresh)
            session.transitions.connect()
            handler.attach(session, reader, writer)
            handler.deliver_from(outbox_of(session))
            self._sessions[session.client_id] = (session, handler)
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
        connection = self._live[client_id] = Connection(handler, anyio.Event())
        try:
            yield
        finally:
            del self._live[client_id]
            connection.ended.set()

    async def _resume(self, fresh: Session) -> Session:
        """Return the stored session with the new connection's data, or the fresh one."""
        stored: Session | None = self._sessions.get(fresh.client_id, (None, None))[0]
        if stored is None or fresh.clean_session or stored.clean_session:
            await self._delete_session(fresh.client_id)
            give_outbox(fresh, Outbox(self._bounds))
            return fresh
        for name in ("flag", "retain", "qos", "topic", "message"):
            setattr(stored, f"will_{name}", getattr(fresh, f"will_{name}"))
        stored.keep_alive = fresh.keep_alive
        stored.attributes[_HASH] = fresh.attributes[_HASH]
        stored.parent = 1
        return stored

    async def _exchange(self, session: Session, handler: Handler) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(handler.pump)
                group.start_soon(self.take_messages, session, handler)
                group.start_soon(self.take_subscriptions, session, handler)
                group.start_soon(self.take_unsubscriptions, session, handler)
                await handler.gone.wait()
                group.cancel_scope.cancel()
        except* (OSError, AMQTTError, MQTTError) as errors:
            # Also what amqtt makes of a cancellation while it writes to a client that is slow.
            _LOG.info("broker.client_failed", username=session.client_id, reason=str(errors))

    async def _finish(self, session: Session, handler: Handler) -> None:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await self._stop_handler(handler)
        session.transitions.disconnect()
        # What was received, and so acknowledged, before the end is still passed on.
        while not session.delivered_message_queue.empty():
            await self.pass_on(session, handler, session.delivered_message_queue.get_nowait())
        if session.will_flag and not handler.said_goodbye:
            await self.publish(_will_of(session))


def _will_of(session: Session) -> IncomingApplicationMessage:
    return IncomingApplicationMessage(
        None, session.will_topic, session.will_qos, session.will_message, session.will_retain
    )
