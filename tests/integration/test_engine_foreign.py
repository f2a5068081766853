"""Handlers that end themselves by other means than an error cost nobody else anything."""

from pathlib import Path

import anyio
import pytest

from tests.support.steps import dead_letters, running_engine, until

pytestmark = pytest.mark.anyio

_BREAKS_OFF = """
import asyncio, sys
config = {"type": "event", "name": "BreaksOff", "subscribes": ["x"], "concurrency": 1,
          "retry": {"attempts": 2, "base": 0.01, "cap": 0.01}}
async def handler(input, ctx, *, handled):
    if input == "exit":
        sys.exit(3)
    if input == "cancelled":
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
    handled.append(input)
"""


@pytest.mark.parametrize("how", ["exit", "cancelled"])
async def test_foreign_handler_that_breaks_off_is_retried_then_dead(
    tmp_path: Path, how: str
) -> None:
    """`sys.exit()` and a foreign cancellation are failures of one event; the next is handled."""
    handled: list[str] = []
    async with running_engine(tmp_path, {"broken_step": _BREAKS_OFF}, handled=handled) as engine:
        await engine.emit("x", how)
        [letter] = await dead_letters(engine)
        await engine.emit("x", "fine")
        await until(lambda: handled == ["fine"])

    assert letter.attempts == 2
    assert "HandlerBrokeOff" in letter.error


async def test_foreign_task_group_may_sleep_durably(tmp_path: Path) -> None:
    """A durable sleep in the handler's own task group suspends the handler, and it goes on."""
    step = """
    import anyio
    config = {"type": "event", "name": "Naps", "subscribes": ["x"]}
    async def handler(input, ctx, *, woken):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.sleep, 0.05)
        woken.append(ctx.attempt)
    """
    woken: list[int] = []

    async with running_engine(tmp_path, {"naps_step": step}, woken=woken) as engine:
        await engine.emit("x", {})
        await until(lambda: woken == [1])


async def test_foreign_error_beside_a_sleep_is_a_failure(tmp_path: Path) -> None:
    """In a group of a durable sleep and an error the error counts."""
    step = """
    import anyio
    config = {"type": "event", "name": "Both", "subscribes": ["x"], "retry": {"attempts": 1}}
    async def fail():
        raise ValueError("no")
    async def handler(input, ctx):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.sleep, 5)
            tasks.start_soon(fail)
    """
    async with running_engine(tmp_path, {"both_step": step}) as engine:
        await engine.emit("x", {})
        [letter] = await dead_letters(engine)

    assert letter.attempts == 1


async def test_foreign_cancellation_of_ours_still_cancels(tmp_path: Path) -> None:
    """A run that is cancelled from outside ends as cancelled, not as a failure."""
    async with running_engine(tmp_path, {}) as engine:
        with anyio.move_on_after(0.05) as scope:
            await engine.transact(lambda _ctx: anyio.sleep(30))

    assert scope.cancelled_caught
