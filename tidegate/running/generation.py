"""One set of loaded steps at work: the engine, its worker and schedules, and the routes.

A process that does not reload has one; `tidegate dev` puts a new one in the place of the old.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio
import prometheus_client
import structlog
from starlette.applications import Starlette

from tidegate.auth.access import Access
from tidegate.auth.middleware import Authenticator, named_middlewares
from tidegate.auth.signing import SigningKeys
from tidegate.auth.streams import stream_guard
from tidegate.auth.users import Users
from tidegate.contract import Step
from tidegate.definition.discovery import fault_of
from tidegate.engine import values
from tidegate.engine.cron import Cron
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker, working
from tidegate.errors import Misconfigured
from tidegate.http.operations import Ping, operations
from tidegate.http.routes import routes
from tidegate.http.server import make_app
from tidegate.http.streams import stream_routes
from tidegate.instance import InstanceFolder
from tidegate.running.joining import Broker, inflow_of
from tidegate.running.loading import check
from tidegate.running.providing import provided
from tidegate.running.roles import Role
from tidegate.store.model import Key
from tidegate.store.port import Store
from tidegate.streams.hub import Hub

OWN_RESOURCES = ("access", "data_dir", "engine")
"""What handlers may always ask for: `Access`, the data folder as a Path, the running `Engine`."""

log = structlog.get_logger()


class Ground(NamedTuple):
    """What outlives the steps: the folder, the store, the streams, what this process does."""

    folder: InstanceFolder
    store: Store
    hub: Hub
    role: Role
    roots: Sequence[Path]
    broker: Broker | None = None
    is_dev: bool = False
    """Answers are checked, and a faulty step does not stop the others."""


class Generation(NamedTuple):
    """Loaded steps at work."""

    engine: Engine
    app: Starlette
    stop_working: Callable[[], Awaitable[None]]
    """Begin and take nothing more; calls still end. For the task that entered the generation."""


@asynccontextmanager
async def generation(ground: Ground, steps: list[Step]) -> AsyncIterator[Generation]:
    """Let the steps work while the context is open.

    On leaving events under way get some seconds to end, what is broken off is given back.

    Raises:
        Misconfigured: a step asks for a resource that nobody provides.
    """
    async with AsyncExitStack() as stack:
        path = ground.folder.path
        reserved = dict.fromkeys(OWN_RESOURCES)
        resources = await stack.enter_async_context(provided(ground.roots, path, reserved))
        if ground.is_dev:
            steps = _sound(steps, resources)
        engine = Engine(steps, ground.store, now_ms=now_ms, rng=Random(), hub=ground.hub)  # noqa: S311
        access = Access(Users(engine), signing=SigningKeys.kept_in(ground.folder))
        engine.provide({**resources, "access": access, "data_dir": path, "engine": engine})
        stack.push_async_callback(engine.aclose)
        work = await stack.enter_async_context(AsyncExitStack())
        await _start_working(work, engine, ground.role)
        if ground.role.receives:
            await _start_receiving(work, engine, ground.broker)
        yield Generation(engine, _app(engine, ground, access), work.aclose)


def _sound(steps: Sequence[Step], resources: Collection[str]) -> list[Step]:
    """Return the steps whose resources are there; the others are logged."""
    sound: list[Step] = []
    for step in steps:
        try:
            check(step, resources=resources)
        except Misconfigured as exc:
            log.warning("step.faulty", fault=str(fault_of(exc, step.file)))
        else:
            sound.append(step)
    return sound


async def _start_working(stack: AsyncExitStack, engine: Engine, role: Role) -> None:
    if role.handles:
        await stack.enter_async_context(working(Worker(engine, role.handles)))
    if role.begins_cron:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(Cron(engine).run)


async def _start_receiving(stack: AsyncExitStack, engine: Engine, broker: Broker | None) -> None:
    if broker is None:
        unfed = [name for name, step in engine.steps.items() if step.config.type == "mqtt"]
        if unfed:
            log.warning("mqtt.no_broker", steps=unfed, hint="name a broker with --mqtt")
        return
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    tasks.start_soon(inflow_of(engine, broker).run)


def _app(engine: Engine, ground: Ground, access: Access) -> Starlette:
    state_answers = _ping(ground.store)
    shown = operations({"state": state_answers}, state_answers, prometheus_client.REGISTRY)
    if not ground.role.answers:
        return make_app(shown)
    authenticator = Authenticator(
        access.users,
        admin_token=ground.folder.admin_token(),
        device_of_token=_no_device,
        access=access,
    )
    streams = stream_routes(ground.hub, values.decode, stream_guard(authenticator))
    named = named_middlewares(authenticator, shows_surface=ground.is_dev)
    steps = routes(engine, named, check_answers=ground.is_dev)
    return make_app([*shown, *streams, *steps])


def _ping(store: Store) -> Ping:
    async def state_answers() -> None:
        await store.read(Key("tidegate.ping", ""), now_ms())

    return state_answers


def _no_device(_token: str) -> Mapping[str, str] | None:
    """Know no device: steps alone have none."""
    return None


def now_ms() -> int:
    """Return the time as Unix milliseconds."""
    return time.time_ns() // 1_000_000
