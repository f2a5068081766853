"""A process of steps alone: store, worker, cron and HTTP around the steps of some folders."""

import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import anyio.abc
import msgspec
import prometheus_client
import structlog

from tidegate.auth.middleware import MIDDLEWARE_NAMES, Authenticator, named_middlewares
from tidegate.auth.users import Users
from tidegate.contract import Step
from tidegate.engine.cron import Cron
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.http.operations import Ping, operations
from tidegate.http.routes import routes
from tidegate.http.server import address_of, bind, make_app, serve
from tidegate.instance import InstanceFolder
from tidegate.loading import load_steps
from tidegate.stopping import set_on_signal
from tidegate.store.model import Key
from tidegate.store.open import open_store
from tidegate.store.port import Store

WORKBENCH = Path(__file__).parent / "workbench" / "steps"
"""The steps that look into a running engine; they run beside the user's."""
RESOURCES = ("data_dir", "engine")
"""What handlers may ask for: the data folder as a Path, the running `Engine`."""

log = structlog.get_logger()


class Process(msgspec.Struct, frozen=True):
    """What to run: folders of steps, the data folder, where to listen.

    `store` is a URL as `tidegate.store.open` takes it; None is SQLite in the data folder.
    """

    roots: Sequence[Path]
    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    store: str | None = None


async def run(process: Process) -> None:
    """Run the steps until SIGTERM or Ctrl-C.

    Raises:
        Misconfigured: something that the operator must correct, such as a fault in any step
            file; nothing is left half started.
    """
    roots = [WORKBENCH, *process.roots]
    steps = load_steps(roots, resources=RESOURCES, middleware=MIDDLEWARE_NAMES)
    folder = InstanceFolder(process.data)
    folder.prepare()
    with folder.locked(), bind(process.host, process.port) as listener:
        stop = anyio.Event()
        async with anyio.create_task_group() as signals:
            signals.start_soon(set_on_signal, stop)
            async with AsyncExitStack() as stack:
                store = open_store(process.store or f"sqlite:///{folder.state}")
                await _start(stack, steps, folder, await stack.enter_async_context(store), listener)
                address = address_of(process.host, process.port)
                folder.note_address(address)
                log.info("steps.started", address=address, steps=len(steps), data=str(folder.path))
                await stop.wait()
            signals.cancel_scope.cancel()
    log.info("steps.stopped")


async def _start(
    stack: AsyncExitStack,
    steps: list[Step],
    folder: InstanceFolder,
    store: Store,
    listener: socket.socket,
) -> None:
    """Enter every part; left in reverse: HTTP first, then worker and cron, the store last."""
    engine = Engine(steps, store, now_ms=_now_ms, rng=Random())  # noqa: S311 - jitter
    engine.provide({"data_dir": folder.path, "engine": engine})
    working = await _background(stack)
    for part in (Worker(engine), Cron(engine)):
        working.start_soon(part.run)
    authenticator = Authenticator(
        Users(engine), admin_token=folder.admin_token(), device_of_token=_no_device
    )
    state_answers = _ping(store)
    app = make_app(
        [
            *operations({"state": state_answers}, state_answers, prometheus_client.REGISTRY),
            *routes(engine, named_middlewares(authenticator)),
        ]
    )
    await stack.enter_async_context(serve(app, listener))


async def _background(stack: AsyncExitStack) -> anyio.abc.TaskGroup:
    """Return a task group whose tasks are cancelled when the stack reaches it."""
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    return tasks


def _ping(store: Store) -> Ping:
    async def state_answers() -> None:
        await store.read(Key("tidegate.ping", ""), _now_ms())

    return state_answers


def _no_device(_token: str) -> None:
    """Know no device: only the administrator's token opens."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
