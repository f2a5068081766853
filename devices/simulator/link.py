"""A device's link to the broker: connect, birth, send, last will, and again after a loss."""

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiomqtt
import anyio
import msgspec

from devices.simulator.errors import NotDelivered
from wire.codecs import json
from wire.ids import DeviceKey
from wire.messages import Reading, Status
from wire.topics import account_name, topic

_KEEPALIVE_S = 20
_GOODBYE_TIMEOUT_S = 1.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 15.0
_WRONG_VERSION_CODES = frozenset({1, 132})
_REFUSED_CODES = frozenset({4, 5, 134, 135})

_logger = logging.getLogger(__name__)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The broker. With `mqtt5` a broker that only speaks 3.1.1 is noticed and served so."""

    host: str = "127.0.0.1"
    port: int = 1883
    mqtt5: bool = True
    timeout_s: float = 5.0


class Login(msgspec.Struct, frozen=True):
    """A device and its account at the broker; without a username it connects anonymously."""

    device: DeviceKey
    username: str | None = None
    password: str | None = None


@dataclass(slots=True)
class LinkCounts:
    """What one link did since it was made."""

    sent: int = 0
    connects: int = 0
    losses: int = 0


class Session:
    """One connection: what is sent is acknowledged by the broker when `send` returns."""

    def __init__(self, client: aiomqtt.Client, login: Login, boot: str) -> None:
        self._client = client
        self._device = login.device
        self._boot = boot

    async def send(self, readings: list[Reading]) -> None:
        """Publish readings as one payload (QoS 1); raise `MqttError` without acknowledgement."""
        payload = json.encode_telemetry(readings, boot=self._boot, first=readings[0].seq)
        await self._client.publish(topic(self._device, "telemetry"), payload, qos=1)

    async def tell(self, status: Status) -> None:
        """Publish the retained status."""
        channel = topic(self._device, "status")
        await self._client.publish(channel, json.encode(status), qos=1, retain=True)


class Link:
    """Keeps one device connected.

    With `patience_s` it gives up when the broker refuses the account, or takes nothing for so
    long; without, it tries for ever, waiting up to 15 s between attempts.
    """

    def __init__(
        self,
        target: Target,
        login: Login,
        *,
        boot: str,
        gate: anyio.CapacityLimiter | None = None,
        patience_s: float | None = None,
    ) -> None:
        self.counts = LinkCounts()
        self._target = target
        self._login = login
        self._boot = boot
        self._gate = gate or anyio.CapacityLimiter(1)
        self._patience_s = patience_s
        self._mqtt5 = target.mqtt5
        self._failures = 0
        self._failing_since = 0.0

    async def run(self, pump: Callable[[Session], Awaitable[None]]) -> None:
        """Connect and run `pump` until it returns; after a loss connect and run it again.

        Raises:
            NotDelivered: the patience is at its end.
        """
        while True:
            try:
                async with self._session() as session:
                    await pump(session)
            except aiomqtt.MqttError as exc:
                self._judge(exc)
            else:
                return
            await anyio.sleep(self._backoff_s())

    async def send(self, session: Session, readings: list[Reading]) -> None:
        """Send through a session and count it: progress restarts the patience."""
        await session.send(readings)
        self._failures = 0
        self.counts.sent += len(readings)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        client = self._client()
        async with self._gate:
            await client.__aenter__()
        session, lost = Session(client, self._login, self._boot), False
        try:
            await session.tell(self._status("online"))
            self._connected()
            yield session
        except aiomqtt.MqttError:
            lost = True  # the broker publishes the will
            raise
        finally:
            with (
                suppress(aiomqtt.MqttError),
                anyio.move_on_after(_GOODBYE_TIMEOUT_S, shield=True),
            ):
                if not lost:
                    await session.tell(self._status("offline"))
                await client.__aexit__(None, None, None)

    def _client(self) -> aiomqtt.Client:
        device = self._login.device
        will = aiomqtt.Will(
            topic(device, "status"), json.encode(self._status("offline")), qos=1, retain=True
        )
        version = aiomqtt.ProtocolVersion.V5 if self._mqtt5 else aiomqtt.ProtocolVersion.V311
        return aiomqtt.Client(
            self._target.host,
            self._target.port,
            username=self._login.username,
            password=self._login.password,
            identifier=self._login.username or account_name(device),
            protocol=version,
            will=will,
            timeout=self._target.timeout_s,
            keepalive=_KEEPALIVE_S,
        )

    def _status(self, state: str) -> Status:
        return Status("online" if state == "online" else "offline", self._boot, "simulator")

    def _connected(self) -> None:
        if self.counts.losses and self._failures:
            _logger.info("mqtt.returned device=%s", account_name(self._login.device))
        self.counts.connects += 1

    def _judge(self, exc: aiomqtt.MqttError) -> None:
        """Decide whether to go on after a failure; say so once when it is the first."""
        code = _code(exc)
        if self._mqtt5 and code in _WRONG_VERSION_CODES:
            self._mqtt5 = False
            return
        name = account_name(self._login.device)
        if not self._failures:
            _logger.warning("mqtt.lost device=%s reason=%s", name, exc)
            self._failing_since = anyio.current_time()
        self._failures += 1
        self.counts.losses += 1
        if self._target.mqtt5 and not self.counts.connects:
            # amqtt never answers an MQTT 5 CONNECT that has a will: try the versions in turn.
            self._mqtt5 = not self._mqtt5
        if self._patience_s is not None:
            self._give_up_if_hopeless(exc, refused=code in _REFUSED_CODES)

    def _give_up_if_hopeless(self, exc: aiomqtt.MqttError, *, refused: bool) -> None:
        if refused:
            name = account_name(self._login.device)
            raise NotDelivered(
                f"the broker refused {name}: check its username and password"
            ) from exc
        failing_s = anyio.current_time() - self._failing_since
        if failing_s > (self._patience_s or 0.0):
            raise NotDelivered(
                f"{self._target.host}:{self._target.port} took nothing for"
                f" {failing_s:.1f} s: is the broker running? ({exc})"
            ) from exc

    def _backoff_s(self) -> float:
        """Return how long to wait: full jitter, doubling; nothing after a change of version."""
        if not self._failures:
            return 0.0
        ceiling = min(_FIRST_BACKOFF_S * 2 ** min(self._failures, 10), _LONGEST_BACKOFF_S)
        return random.uniform(0, ceiling)  # noqa: S311 - jitter


def _code(exc: aiomqtt.MqttError) -> int | None:
    """Return the reason code of a refused connection (3.1.1 or 5), if it is one."""
    if not isinstance(exc, aiomqtt.MqttCodeError) or exc.rc is None:
        return None
    return exc.rc if isinstance(exc.rc, int) else exc.rc.value
