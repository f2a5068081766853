"""Handlers in processes of their own: few places, and what waits for one."""

import os
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from tests.support.steps import dead_letters, running_engine, until
from tidegate.engine.engine import Engine

pytestmark = pytest.mark.anyio

_SLOW = """
import time
config = {"type": "event", "name": "Slow", "subscribes": ["n"], "execution": "process",
          "timeout": 3, "retry": {"attempts": 1}}
async def handler(data, ctx):
    time.sleep(0.8)
    await ctx.state.increment("slow", "n")
"""


async def test_process_handler_is_not_late_while_it_waits_for_a_place(tmp_path: Path) -> None:
    """More events than processes: the time of each begins when it has one, so none dies."""
    events = 5 * max(1, (os.cpu_count() or 2) - 1)
    async with running_engine(tmp_path, {"slow_step": _SLOW}) as engine:
        await engine.emit_many("n", list(range(events)))

        async def all_are_over() -> bool:
            return await engine.store.pending("Slow") == 0

        await until(all_are_over, timeout_s=50)
        dead = await engine.store.dead(limit=9)
        handled = await engine.transact(lambda ctx: ctx.state.get("slow", "n"))

    assert [letter.error for letter in dead] == []
    assert handled == events


async def test_process_copy_of_a_forked_handler_answers_nothing(tmp_path: Path) -> None:
    """A handler that forks and returns twice is done once; the next event is really handled."""
    step = """
    import os, time
    config = {"type": "event", "name": "Forks", "subscribes": ["n"], "execution": "process",
              "concurrency": 1, "retry": {"attempts": 1}}
    def handler(data, ctx):
        if data == "fork" and os.fork() == 0:
            time.sleep(0.3)
            return
        ctx.sync.state.increment("forks", data)
    """
    async with running_engine(tmp_path, {"forks_step": step}) as engine:
        await engine.emit("n", "fork")
        await until(lambda: _is_empty(engine, "Forks"))
        await anyio.sleep(1.0)
        await engine.emit("n", "after")
        await until(lambda: _is_empty(engine, "Forks"))

        handled = await engine.transact(lambda ctx: ctx.state.get_group("forks"))

    assert handled == [1, 1]


async def test_process_that_is_ended_takes_its_own_with_it(tmp_path: Path) -> None:
    """What a handler started ends with it when it is out of time."""
    step = f"""
    import subprocess, time
    config = {{"type": "event", "name": "Starts", "subscribes": ["n"], "execution": "process",
              "timeout": 4, "retry": {{"attempts": 1}}}}
    def handler(data, ctx):
        started = subprocess.Popen(["sleep", "77"])
        open({str(tmp_path / "pid")!r}, "w").write(str(started.pid))
        time.sleep(60)
    """
    async with running_engine(tmp_path, {"starts_step": step}) as engine:
        await engine.emit("n", {})
        [letter] = await dead_letters(engine)
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not _runs(pid))

    assert "TimeoutError" in letter.error


async def _is_empty(engine: Engine, step: str) -> bool:
    return await engine.store.pending(step) == 0


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended may wait for somebody to notice."""
    with suppress(FileNotFoundError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("utf-8")
    return False
