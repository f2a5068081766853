"""Run step files in a test: written to a folder, loaded, handled by a real engine and worker."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from random import Random
from textwrap import dedent

import anyio

from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker, working
from tidegate.store.model import DeadLetter
from tidegate.store.open import open_store


def write_steps(folder: Path, files: Mapping[str, str]) -> Path:
    """Write step files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text), "utf-8")
    return folder


@asynccontextmanager
async def running_engine(
    folder: Path, files: Mapping[str, str], *, url: str | None = None, **resources: object
) -> AsyncIterator[Engine]:
    """Load the steps and handle their events while the context is open.

    The store is the one of `url`, else a file in the folder.
    """
    found = discover([write_steps(folder / "steps", files)])
    assert found.faults == []
    store_of = open_store(url or f"sqlite:///{folder}/state.db")
    async with store_of as store, anyio.create_task_group() as tasks:
        engine = Engine(
            found.steps,
            store,
            now_ms=lambda: time.time_ns() // 1_000_000,
            rng=Random(1),
        )
        engine.provide(resources)
        tasks.start_soon(engine.hub.run)
        async with working(Worker(engine)):
            yield engine
        await engine.aclose()
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds, looking a hundred times a second; fail after the timeout."""
    with anyio.fail_after(timeout_s):
        while True:
            holds = condition()
            if (await holds) if isawaitable(holds) else holds:
                return
            await anyio.sleep(0.01)


async def dead_letters(engine: Engine) -> list[DeadLetter]:
    """Wait for the first dead letters."""

    async def some() -> bool:
        return bool(await engine.store.dead(limit=1))

    await until(some)
    return await engine.store.dead(limit=100)
