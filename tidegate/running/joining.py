"""What joins a process to others over a broker: the relay of streams, messages of mqtt steps."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio

from tidegate.engine import values
from tidegate.engine.engine import Engine
from tidegate.engine.routing import own_topic
from tidegate.errors import Conflict, Misconfigured, StoreAway
from tidegate.mqtt.access import Access
from tidegate.mqtt.relay import Relay
from tidegate.mqtt.steps import Inflow, inlets
from tidegate.store.model import Commit, Key, Write
from tidegate.store.port import States
from tidegate.streams.hub import Hub

_REALM = Key("tidegate.instance", "realm")
_MAX_PROCESSES = 64
_STORE_AWAY_WAIT_S = 1.0


class Broker(NamedTuple):
    """A broker, and the name that this process keeps there over restarts."""

    access: Access
    instance: str


async def relay(hub: Hub, store: States, access: Access, now_ms: Callable[[], int]) -> None:
    """Relay streams between the processes that share a store, until cancelled."""
    while True:
        try:
            realm = await _realm(store, now_ms)
        except StoreAway:
            await anyio.sleep(_STORE_AWAY_WAIT_S)
        else:
            await Relay(hub, access, realm=realm, rng=Random()).run()  # noqa: S311 - jitter


async def _realm(store: States, now_ms: Callable[[], int]) -> str:
    """Return the name of the store, which the first process gives it."""
    while True:
        stored = await store.read(_REALM, now_ms())
        if stored.data is not None:
            return str(values.decode(stored.data))
        name = Write(values.encode(secrets.token_hex(8)))
        commit = Commit(now_ms=now_ms(), reads={_REALM: stored.version}, writes={_REALM: name})
        with suppress(Conflict):
            await store.commit(commit)


def inflow_of(engine: Engine, broker: Broker) -> Inflow:
    """Return what takes messages in for the mqtt steps of an engine."""
    topics = {step.config.name: own_topic(step.config) for step in engine.steps.values()}

    async def deliver(step: str, messages: Sequence[object]) -> None:
        await engine.emit_many(topics[step], messages)

    found = inlets(list(engine.steps.values()))
    rng = Random()  # noqa: S311 - jitter
    return Inflow(found, broker.access, instance=broker.instance, deliver=deliver, rng=rng)


@contextmanager
def instance_in(folder: Path, name: str) -> Iterator[str]:
    """Hold a name of this process for the broker: stable over restarts, never given out twice.

    Several processes may share a folder; each takes the first name that is free.

    Raises:
        Misconfigured: 64 processes share the folder already.
    """
    for number in range(_MAX_PROCESSES):
        file = os.open(folder / f"mqtt.{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            continue
        try:
            yield f"{name}-{number}"
        finally:
            os.close(file)
        return
    raise Misconfigured(f"{_MAX_PROCESSES} processes share {folder} already; use another --data")
