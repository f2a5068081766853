"""Run steps alone: the API, the events and the schedules of some folders."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog

from tidegate.auth.middleware import MIDDLEWARE_NAMES
from tidegate.contract import Step
from tidegate.http.front import Front
from tidegate.http.server import address_of, bind, make_app, serve
from tidegate.instance import InstanceFolder
from tidegate.mqtt.access import parse_url
from tidegate.running.awaiting import Awaiting
from tidegate.running.generation import OWN_RESOURCES, Ground, generation, now_ms
from tidegate.running.joining import Broker, instance_in, relay
from tidegate.running.loading import load_steps
from tidegate.running.providing import brings_resources
from tidegate.running.reloading import Reloader
from tidegate.running.roles import Role
from tidegate.stopping import set_on_signal
from tidegate.store.open import open_store
from tidegate.streams.hub import Hub

WORKBENCH = Path(__file__).parents[1] / "workbench" / "steps"
"""The steps that look into a running engine; they run beside the user's."""
LOGINS = Path(__file__).parents[1] / "auth" / "steps"
"""The steps of users, logins and API keys; they run beside the user's, too."""

log = structlog.get_logger()


class Process(msgspec.Struct, frozen=True):
    """What to run: folders of steps, the data folder, where to listen, which part of the work.

    `store` is a URL as `tidegate.store.open` takes it; None is SQLite in the data folder. `mqtt`
    is the broker that joins the streams of processes and brings the messages of mqtt steps. With
    `reloads` changed files are loaded again, and a faulty file does not stop the others.
    """

    roots: Sequence[Path]
    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    store: str | None = None
    role: Role = Role.ALL
    mqtt: str | None = None
    reloads: bool = False


async def run(process: Process) -> None:
    """Run the steps until SIGTERM or Ctrl-C.

    Raises:
        Misconfigured: something that the operator must correct, such as a fault in any step
            file; nothing is left half started.
    """
    roots = [WORKBENCH, LOGINS, *process.roots]
    reloader = _reloader(roots) if process.reloads else None
    steps = reloader.steps if reloader else _all_steps(roots)
    folder = InstanceFolder(process.data)
    folder.prepare()
    shared = process.role is not Role.ALL
    with folder.locked(shared=shared), bind(process.host, process.port) as listener:
        stop, started = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as signals:
            signals.start_soon(set_on_signal, stop)
            with anyio.CancelScope() as starting:
                signals.start_soon(_give_up, starting, stop, started)
                async with AsyncExitStack() as stack:
                    ground = await _prepare(stack, process, folder, listener)
                    await _run_steps(stack, ground, steps, reloader, listener)
                    started.set()
                    _say_started(process, folder, len(steps))
                    await stop.wait()
            signals.cancel_scope.cancel()
    log.info("steps.stopped")


def _reloader(roots: Sequence[Path]) -> Reloader:
    return Reloader(roots, middleware=MIDDLEWARE_NAMES, resources=OWN_RESOURCES)


async def _give_up(starting: anyio.CancelScope, stop: anyio.Event, started: anyio.Event) -> None:
    """End a start that is still under way, such as one that waits for its database."""
    await stop.wait()
    if not started.is_set():
        starting.cancel()


def _say_started(process: Process, folder: InstanceFolder, steps: int) -> None:
    address = address_of(process.host, process.port)
    if process.role.answers:
        folder.note_address(address)
    log.info("steps.started", address=address, steps=steps, data=str(folder.path))


def _all_steps(roots: Sequence[Path]) -> list[Step]:
    known = None if brings_resources(roots) else OWN_RESOURCES
    return load_steps(roots, resources=known, middleware=MIDDLEWARE_NAMES)


async def _prepare(
    stack: AsyncExitStack, process: Process, folder: InstanceFolder, listener: socket.socket
) -> Ground:
    """Open what outlives the steps."""
    access = parse_url(process.mqtt) if process.mqtt else None
    url = process.store or f"sqlite:///{folder.state}"
    awaiting = Awaiting(listener)
    (await _background(stack)).start_soon(awaiting.run)
    store = await stack.enter_async_context(open_store(url))
    await awaiting.end()
    if process.store is None and process.role is Role.ALL:
        # The folder is held by this process alone: whoever leased something is dead.
        await store.release_all(now_ms=now_ms())
    hub = Hub(store)
    tasks = await _background(stack)
    tasks.start_soon(hub.run)
    broker: Broker | None = None
    if access is not None:
        tasks.start_soon(relay, hub, store, access, now_ms)
        name = stack.enter_context(instance_in(folder.path, folder.secret("mqtt.client", 8)))
        broker = Broker(access, name)
    return Ground(folder, store, hub, process.role, process.roots, broker, is_dev=process.reloads)


async def _run_steps(
    stack: AsyncExitStack,
    ground: Ground,
    steps: list[Step],
    reloader: Reloader | None,
    listener: socket.socket,
) -> None:
    """Let the steps work and serve them.

    Clients of streams are let go first, then HTTP stops, then the steps, then the rest.
    """
    if reloader is None:
        at_work = await stack.enter_async_context(generation(ground, steps))
        await stack.enter_async_context(serve(Front(at_work.app), listener))
        stack.callback(ground.hub.close)
        return
    front = await stack.enter_async_context(_reloading(ground, steps, reloader))
    await stack.enter_async_context(serve(front, listener))
    stack.callback(ground.hub.close)


@asynccontextmanager
async def _reloading(ground: Ground, steps: list[Step], reloader: Reloader) -> AsyncIterator[Front]:
    """Put a new generation in the place of the old one whenever steps have changed.

    Calls that are under way end in the generation in which they began, while the next are at work.
    """
    front = Front(make_app([]))
    async with anyio.create_task_group() as tasks:
        retire = await tasks.start(_live, ground, steps, front)

        async def follow() -> None:
            nonlocal retire
            async for changed in reloader.changes():
                try:
                    retire_next = await tasks.start(_live, ground, changed, front)
                except Exception as exc:  # noqa: BLE001 - step_resources.py is foreign code
                    log.warning("steps.reload_failed", reason=str(exc), kind=type(exc).__name__)
                    continue
                retire.set()
                retire = retire_next
                log.info("steps.reloaded", steps=len(changed))

        async with anyio.create_task_group() as following:
            following.start_soon(follow)
            try:
                yield front
            finally:
                following.cancel_scope.cancel()
        retire.set()


async def _live(
    ground: Ground,
    steps: list[Step],
    front: Front,
    *,
    task_status: anyio.abc.TaskStatus[anyio.Event],
) -> None:
    """Let a generation work until it is retired; it is entered and left by one task."""
    retired = anyio.Event()
    try:
        async with generation(ground, steps) as at_work:
            front.app = at_work.app
            # Clients of streams would hold the old generation for as long as they like.
            ground.hub.let_go()
            task_status.started(retired)
            await retired.wait()
            await at_work.stop_working()
            await front.wait_idle(at_work.app)
    except Exception:
        if not retired.is_set():
            raise
        log.exception("steps.retire_failed")


async def _background(stack: AsyncExitStack) -> anyio.abc.TaskGroup:
    """Return a task group whose tasks are cancelled when the stack reaches it."""
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    return tasks
