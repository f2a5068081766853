"""Handlers in processes of their own: few places, and what waits for one."""

import os
from pathlib import Path

import pytest

from tests.support.steps import running_engine, until

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
