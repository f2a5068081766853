"""A device's link to the broker: connect, birth, send, last will, and again after a loss."""

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiomqtt
import anyio
import msgspec

from devices.simulator.errors import NotDelivered, Refused
from devices.simulator.refusals import Refusals
from wire.backoff import Backoff
from wire.codecs import json
from wire.ids import DeviceKey
from wire.messages import Reading, Status
from wire.topics import Channel, account_name, topic

_KEEPALIVE_S = 20
_GOODBYE_TIMEOUT_S = 1.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 15.0
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
        # aiomqtt offers no other way to a PUBACK's reason code.
        self._refusals = Refusals(client._client)  # noqa: SLF001
        self._device = login.device
        self._boot = boot

    async def send(self, readings: list[Reading]) -> None:
        """Publish readings as one payload (QoS 1).

        Raises:
            MqttError: no acknowledgement came.
            Refused: the broker did not take it, and said so.
        """
        payload = json.encode_telemetry(readings, boot=self._boot, first=readings[0].seq)
        await self._publish("telemetry", payload)

    async def tell(self, status: Status) -> None:
        """Publish the retained status; raises as `send` does."""
        await self._publish("status", json.encode(status), retain=True)

    async def _publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        name = topic(self._device, channel)
        await self._client.publish(name, payload, qos=1, retain=retain)
        self._refusals.check(name)


class Link:
    """Keeps one device connected.

    With `patience_s` it gives up when the broker refuses the account or a message, or takes
    nothing for so long; without, it tries for ever, waiting up to 15 s between attempts.
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
        self._backoff = Backoff(
            random.Random(),  # noqa: S311 - jitter
            base_s=_FIRST_BACKOFF_S,
            cap_s=_LONGEST_BACKOFF_S,
        )
        self._failing_since: float | None = None

    async def run(self, pump: Callable[[Session], Awaitable[None]]) -> None:
        """Connect and run `pump` until it returns; after a loss connect and run it again.

        Raises:
            NotDelivered: waiting would not help, or the patience is at its end.
        """
        while True:
            try:
                async with self._session() as session:
                    await pump(session)
            except aiomqtt.MqttError as exc:
                wait_s = self._after_loss(exc)
            except Refused as exc:
                wait_s = self._after_refusal(exc)
            else:
                return
            await anyio.sleep(wait_s)

    async def send(self, session: Session, readings: list[Reading]) -> None:
        """Send through a session and count it: progress restarts the patience."""
        await session.send(readings)
        if self._failing_since is not None:
            _logger.info("mqtt.returned device=%s", account_name(self._login.device))
        self._failing_since = None
        self._backoff.reset()
        self.counts.sent += len(readings)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        client = self._client()
        async with self._gate:
            await client.__aenter__()
        session, lost = Session(client, self._login, self._boot), False
        try:
            await session.tell(self._status("online"))
            self.counts.connects += 1
            yield session
        except aiomqtt.MqttError:
            lost = True  # the broker publishes the will
            raise
        finally:
            with anyio.move_on_after(_GOODBYE_TIMEOUT_S, shield=True):
                with suppress(aiomqtt.MqttError, Refused):
                    if not lost:
                        await session.tell(self._status("offline"))
                with suppress(aiomqtt.MqttError):
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

    def _after_loss(self, exc: aiomqtt.MqttError) -> float:
        """Return how long to wait (s) when the connection failed or was lost.

        Raises:
            NotDelivered: waiting would not help, or the patience is at its end.
        """
        code = _code(exc)
        if self._mqtt5 and code in _WRONG_VERSION_CODES:
            self._mqtt5 = False
            return 0.0
        self._note("mqtt.lost", exc)
        self.counts.losses += 1
        if self._target.mqtt5 and not self.counts.connects:
            # amqtt never answers an MQTT 5 CONNECT that has a will: try the versions in turn.
            self._mqtt5 = not self._mqtt5
        if self._patience_s is not None and code in _REFUSED_CODES:
            name = account_name(self._login.device)
            raise NotDelivered(
                f"the broker refused {name}: check its username and password"
            ) from exc
        return self._next_wait_s(exc)

    def _after_refusal(self, exc: Refused) -> float:
        """Return how long to wait (s) when the broker did not take a message; raises as above."""
        self._note("mqtt.refused", exc)
        if self._patience_s is not None and not exc.may_pass:
            name = account_name(self._login.device)
            raise NotDelivered(
                f"the broker refused a message on {exc}: check what {name} may publish"
            ) from exc
        return self._next_wait_s(exc)

    def _note(self, event: str, exc: Exception) -> None:
        """Say so once when it is the first failure of a row."""
        if self._failing_since is None:
            name = account_name(self._login.device)
            _logger.warning("%s device=%s reason=%s", event, name, exc)
            self._failing_since = anyio.current_time()

    def _next_wait_s(self, exc: Exception) -> float:
        failing_s = anyio.current_time() - (self._failing_since or 0.0)
        if self._patience_s is not None and failing_s > self._patience_s:
            raise NotDelivered(
                f"{self._target.host}:{self._target.port} took nothing for"
                f" {failing_s:.1f} s: is the broker running? ({exc})"
            ) from exc
        return self._backoff.next_s()


def _code(exc: aiomqtt.MqttError) -> int | None:
    """Return the reason code of a refused connection (3.1.1 or 5), if it is one."""
    if not isinstance(exc, aiomqtt.MqttCodeError) or exc.rc is None:
        return None
    return exc.rc if isinstance(exc.rc, int) else exc.rc.value
