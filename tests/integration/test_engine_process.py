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


"""Handlers in processes of their own: when their time counts, what reaches them, how they end."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.steps import until, write_steps
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio


async def test_process_values_of_nearly_the_largest_size_cross(tmp_path: Path) -> None:
    """What may be stored at all can also be passed to and from a handler's process."""
    steps = {
        "large_step": """
            config = {"type": "event", "name": "Large", "subscribes": ["n"],
                      "execution": "process"}
            async def handler(size, ctx):
                await ctx.state.set("large", "n", b"x" * size)
                assert len(await ctx.state.get("large", "n")) == size
        """
    }
    size = 16 * 1024 * 1024 - 8
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", size)
        await h.drain()

        assert await h.dead() == []
        assert len(await h.state("large", "n")) == size


async def test_process_handler_gets_its_model(tmp_path: Path) -> None:
    """A pydantic model, with its aliases, is made in the handler's process; a misfit is dead."""
    steps = {
        "typed_step": """
            from decimal import Decimal
            from pydantic import BaseModel, Field
            class Order(BaseModel):
                price: Decimal = Field(alias="unitPrice")
            config = {"type": "event", "name": "Typed", "subscribes": ["n"], "input": Order,
                      "execution": "process"}
            async def handler(order, ctx):
                assert type(order) is Order
                await ctx.state.set("orders", "last", order)
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", {"unitPrice": "2.50"})
        await h.emit("n", {"unitPrice": "cheap"})
        await h.drain()

        assert await h.state("orders", "last") == {"price": Decimal("2.50")}
        assert [dead.error.partition(":")[0] for dead in await h.dead()] == ["InvalidData"]


async def test_process_batch_handler_gets_its_structs(tmp_path: Path) -> None:
    """With a batch, each event of the list has the declared type."""
    steps = {
        "typed_step": """
            import msgspec
            class Order(msgspec.Struct):
                n: int
            config = {"type": "event", "name": "Typed", "subscribes": ["n"], "input": Order,
                      "execution": "process", "batch": {"size": 2}}
            async def handler(orders, ctx):
                await ctx.state.set("orders", "n", [order.n for order in orders])
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", {"n": 1})
        await h.emit("n", {"n": 2})
        await h.drain()

        assert await h.dead() == []
        assert await h.state("orders", "n") == [1, 2]


_PARENT = """
import sys
import anyio
from tidegate.testing import Harness

async def main():
    async with Harness(sys.argv[1]) as h:
        await h.emit("n", sys.argv[2])
        await h.drain()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when it next asks for ctx")
async def test_process_ends_with_its_parent_also_while_it_is_busy(tmp_path: Path) -> None:
    """After kill -9 of the runtime a handler in the midst of its work is gone too."""
    steps = {
        "busy_step": """
            import os, time
            from pathlib import Path
            config = {"type": "event", "name": "Busy", "subscribes": ["n"],
                      "execution": "process"}
            def handler(path, ctx):
                Path(path + ".new").write_text(str(os.getpid()))
                os.rename(path + ".new", path)
                time.sleep(60)
        """
    }
    folder, note = write_steps(tmp_path / "steps", steps), tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(folder), str(note)])
    try:
        await until(note.exists, 20.0)
    finally:
        parent.kill()
        parent.wait(10)
    pid = int(note.read_text())
    try:
        await until(lambda: not _is_running(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
