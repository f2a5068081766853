"""Handlers in processes of their own: when their time counts, what reaches them, how they end."""

import os
import signal
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from tests.support.steps import running_engine, until, write_steps
from tidegate.engine.process.pool import ProcessPool
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
    command = [sys.executable, "-c", _PARENT, str(folder), str(note)]
    parent = await anyio.open_process(command, stdout=None, stderr=None)
    try:
        await until(note.exists, 20.0)
    finally:
        parent.kill()
        await parent.wait()
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


@pytest.mark.parametrize("batch", ["", '"batch": {"size": 1},'])
async def test_process_time_counts_from_when_the_handler_has_a_process(
    tmp_path: Path, batch: str
) -> None:
    """Who waits for a free process does not use up its timeout: not one run is given up."""
    steps = {
        "slow_step": f"""
            import time
            config = {{"type": "event", "name": "Slow", "subscribes": ["n"], "concurrency": 8,
                      "execution": "process", "timeout": 1.5, {batch} "retry": {{"attempts": 1}}}}
            async def handler(n, ctx):
                time.sleep(0.4)
                await ctx.state.increment("slow", "n")
        """
    }
    async with running_engine(tmp_path, steps) as engine:
        engine.processes = ProcessPool(1)
        await engine.emit_many("n", list(range(8)))

        async def all_ended() -> bool:
            return await engine.store.pending("Slow") == 0

        await until(all_ended, 30.0)
        assert await engine.store.dead(limit=10) == []
        assert await engine.transact(lambda ctx: ctx.state.get("slow", "n")) == 8
