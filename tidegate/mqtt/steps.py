"""Steps of type `mqtt`: each message of the broker becomes an event of its step.

A message is acknowledged when its event is durable: a crash on either side repeats messages, and
loses none. Processes that run the same step share its messages.
"""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, NamedTuple

import anyio
import msgspec
import structlog

from tidegate.contract import Step
from tidegate.errors import NonRetriable, StoreAway
from tidegate.mqtt import counts
from tidegate.mqtt.access import Access
from tidegate.mqtt.filters import shared
from tidegate.mqtt.session import Message, Session, SessionLost, first_of
from wire.backoff import Backoff

AT_ONCE = 64
_BACKOFF_BASE_S, _BACKOFF_CAP_S = 0.5, 30.0
_KEEP_S = 14 * 24 * 3600

Deliver = Callable[[str, Sequence[object]], Awaitable[None]]

log = structlog.get_logger()


class Inlet(NamedTuple):
    """One step's place at the broker."""

    step: str
    topic: str
    qos: int


def inlets(steps: Sequence[Step]) -> list[Inlet]:
    """Return the places of the mqtt steps among some."""
    found = [step.config for step in steps if step.config.type == "mqtt"]
    return [Inlet(config.name, config.topic, config.qos) for config in found]


class Inflow:
    """Takes the messages of mqtt steps in.

    Args:
        inlets: the steps.
        access: the broker.
        instance: a name that this process keeps over restarts; the broker knows us by it.
        deliver: `(step, messages)` makes events of them, all or none, durable on return.
        rng: for waits between attempts.
    """

    def __init__(
        self,
        inlets: Sequence[Inlet],
        access: Access,
        *,
        instance: str,
        deliver: Deliver,
        rng: Random,
    ) -> None:
        self._inlets = inlets
        self._access = access
        self._instance = instance
        self._deliver = deliver
        self._rng = rng

    async def run(self) -> None:
        """Take messages in until cancelled, through every loss of broker or store."""
        async with anyio.create_task_group() as tasks:
            for inlet in self._inlets:
                tasks.start_soon(self._run_one, inlet)

    async def _run_one(self, inlet: Inlet) -> None:
        backoff = Backoff(self._rng, base_s=_BACKOFF_BASE_S, cap_s=_BACKOFF_CAP_S)
        failure: Exception | None = None
        while True:
            try:
                async with self._session(inlet).opened() as session:
                    # Who is only waiting for the store has not come back yet.
                    if not isinstance(failure, StoreAway):
                        log.info("mqtt.subscribed", step=inlet.step, topic=inlet.topic)
                        failure = None
                        backoff.reset()
                    await self._take_in(inlet, session, backoff)
            except* (SessionLost, StoreAway) as lost:
                if type(failure) is not type(first_of(lost)):
                    reason = str(first_of(lost))
                    log.warning("mqtt.interrupted", step=inlet.step, reason=reason)
                failure = first_of(lost)
            await anyio.sleep(backoff.next_s())

    def _session(self, inlet: Inlet) -> Session:
        return Session(
            self._access,
            client_id=f"tidegate-{self._instance}-{inlet.step}",
            subscription=shared(inlet.step, inlet.topic),
            qos=inlet.qos,
            keep_s=_KEEP_S,
        )

    async def _take_in(self, inlet: Inlet, session: Session, backoff: Backoff) -> None:
        while True:
            messages = await session.take(AT_ONCE)
            await self._store(inlet.step, messages)
            session.acknowledge(messages)
            backoff.reset()

    async def _store(self, step: str, messages: Sequence[Message]) -> None:
        try:
            await self._deliver(step, [as_input(message) for message in messages])
        except NonRetriable as exc:
            if len(messages) > 1:
                for message in messages:
                    await self._store(step, [message])
                return
            # It would come again and again, and hold up all that follow.
            counts.received.labels(step, "refused").inc()
            facts = {"step": step, "topic": messages[0].topic, "reason": str(exc)}
            log.error("mqtt.message_refused", **facts)  # noqa: TRY400 - its author knows where
        else:
            counts.received.labels(step, "taken").inc(len(messages))


def as_input(message: Message) -> dict[str, Any]:
    """Return what a handler gets for a message."""
    payload = decoded(message.payload)
    return {
        "topic": message.topic,
        "payload": payload,
        "qos": message.qos,
        "retain": message.retain,
    }


def decoded(payload: bytes) -> Any:
    """Decode a payload: JSON if it is JSON, else text if it is UTF-8, else the bytes."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload
