"""A full disk, a clock that jumps, steps that are gone after an upgrade: nothing is lost."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from tests.support.steps import running_engine, until, write_steps
from tidegate.contract import Context
from tidegate.definition.discovery import discover
from tidegate.definition.normalise import normalise
from tidegate.engine.engine import Engine
from tidegate.engine.schedules import schedule_of, times_due
from tidegate.engine.worker import Worker, working
from tidegate.errors import NonRetriable, StoreAway
from tidegate.store.sqlite.statements import SQL
from tidegate.store.sqlite.store import SqliteStore, open_sqlite
from tidegate.testing.clock import START

pytestmark = pytest.mark.anyio

_KEEP = """
config = {"type": "event", "name": "Keep", "subscribes": ["keep"]}
async def handler(data, ctx):
    await ctx.state.set("kept", str(data["n"]), data)
"""


async def _kept(engine: Engine) -> list[Any]:
    values: list[Any] = await engine.transact(lambda ctx: ctx.state.get_group("kept"))
    return values


def _limit_pages(store: SqliteStore, more: int) -> None:
    """Let the file grow by so many pages and no further, as a disk that fills up does."""
    [pages] = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + more}")


async def test_adversity_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """A full disk is StoreAway for whoever writes; what was accepted stays and is handled later."""
    async with running_engine(tmp_path, {"keep_step": _KEEP}) as engine:
        store = engine.store
        assert isinstance(store, SqliteStore)
        _limit_pages(store, 40)
        accepted, refused = await _emit_until_refused(engine)
        assert accepted > 0
        assert "full" in refused
        assert await engine.transact(lambda ctx: ctx.state.get("kept", "none")) is None

        _limit_pages(store, 100_000)

        async def all_are_kept() -> bool:
            return len(await _kept(engine)) == accepted

        await until(all_are_kept, timeout_s=50)


async def _emit_until_refused(engine: Engine) -> tuple[int, str]:
    for n in range(1000):
        try:
            await engine.emit("keep", {"n": n, "filler": "x" * 4000})
        except StoreAway as exc:
            return n, str(exc)
    raise AssertionError("the disk is not full")


class _JumpingClock:
    def __init__(self) -> None:
        self.offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms


@asynccontextmanager
async def _on_clock(folder: Path, clock: _JumpingClock, step: str) -> AsyncIterator[Engine]:
    steps = discover([write_steps(folder / "steps", {"a_step": step})]).steps
    async with open_sqlite(folder / "state.db") as store:
        engine = Engine(steps, store, now_ms=clock.now_ms, rng=Random(1))
        async with working(Worker(engine)):
            yield engine


@pytest.mark.parametrize("jump_s", [-3600, 3600])
async def test_adversity_clock_that_jumps_doubles_and_loses_nothing(
    tmp_path: Path, jump_s: int
) -> None:
    """The clock jumps an hour while events are handled: each is committed once."""
    step = """
    import anyio
    config = {"type": "event", "name": "Keep", "subscribes": ["keep"], "concurrency": 4}
    async def handler(data, ctx):
        await anyio.sleep(0.05)
        await ctx.state.increment("times", str(data["n"]))
    """
    clock = _JumpingClock()
    async with _on_clock(tmp_path, clock, step) as engine:
        for n in range(40):
            await engine.emit("keep", {"n": n})
        clock.offset_ms = jump_s * 1000
        for n in range(40, 60):
            await engine.emit("keep", {"n": n})

        if jump_s < 0:
            # What was due is due in an hour now; when the clock is right again it comes.
            await anyio.sleep(0.3)
            clock.offset_ms = 0

        async def is_done() -> bool:
            return await engine.store.pending("Keep") == 0

        await until(is_done, timeout_s=20)
        times = await engine.transact(lambda ctx: ctx.state.get_group("times"))
    assert times == [1] * 60


@pytest.mark.parametrize(
    ("catch_up", "begun", "passed_over"), [("none", 0, 60), ("last", 1, 59), ("all", 60, 0)]
)
def test_adversity_schedule_that_slept_an_hour(catch_up: str, begun: int, passed_over: int) -> None:
    """After an hour in which nobody looked a step catches up as its config says, no more."""
    config = normalise({"type": "cron", "name": "C", "cron": "* * * * *", "catchUp": catch_up})
    schedule = schedule_of(config)
    first = schedule.next_after(START)
    now = START.replace(hour=1, minute=1, second=30)

    times = times_due(schedule, config, first.replace(minute=1), now.replace(minute=0), busy=False)

    if catch_up == "none":
        assert len(times.begin) <= 1
    else:
        assert len(times.begin) == begun
    assert len(times.begin) + times.passed_over == begun + passed_over
    assert times.next_at > now.replace(minute=0)


async def test_adversity_events_of_a_step_that_is_gone_wait_for_it(tmp_path: Path) -> None:
    """After an upgrade that drops a step its events stay; when it is back they are handled."""
    slow = _KEEP.replace('"subscribes": ["keep"]', '"subscribes": ["keep"], "delay": 0.5')
    async with running_engine(tmp_path, {"keep_step": slow}) as engine:
        await engine.emit("keep", {"n": 1})
    (tmp_path / "steps" / "keep_step.py").unlink()

    async with running_engine(tmp_path, {}) as engine:
        await anyio.sleep(0.7)
        assert await engine.store.pending("Keep") == 1
        assert await engine.store.dead(limit=1) == []

    async with running_engine(tmp_path, {"keep_step": _KEEP}) as engine:

        async def is_kept() -> bool:
            return await _kept(engine) == [{"n": 1}]

        await until(is_kept)


async def test_adversity_wrong_topics_and_keys_name_themselves(tmp_path: Path) -> None:
    """What is no text, or no time, is refused when it is emitted or set; nothing is committed."""
    bad: list[tuple[str, Any]] = [
        ("topic", lambda ctx: ctx.emit(7, {})),
        ("key", lambda ctx: ctx.emit("t", {}, key=7)),
        ("delay", lambda ctx: ctx.emit("t", {}, delay=-1)),
        ("time zone", lambda ctx: ctx.emit("t", {}, at=START.replace(tzinfo=None))),
        ("state key", lambda ctx: ctx.state.set("g", 7, 1)),
        ("valid text", lambda ctx: ctx.state.set("g", "\ud800", 1)),
        ("ttl", lambda ctx: ctx.state.set("g", "k", 1, ttl=0)),
        ("stored", lambda ctx: ctx.state.set("g", "k", object())),
        ("cannot be stored", lambda ctx: ctx.emit("t", object())),
    ]
    async with running_engine(tmp_path, {}) as engine:
        for reason, wrong in bad:

            async def write_then_err(ctx: Context, wrong: Any = wrong) -> None:
                await ctx.state.set("g", "before", 1)
                await wrong(ctx)

            with pytest.raises(NonRetriable, match=reason):
                await engine.transact(write_then_err)
        assert await engine.transact(lambda ctx: ctx.state.get("g", "before")) is None


async def test_adversity_trimming_the_dead_counts_them(tmp_path: Path) -> None:
    """Where dead letters were redriven their ids have gaps: only what is too many goes."""
    async with open_sqlite(tmp_path / "state.db") as store:
        for letter_id in (1, 50, 90, 100):
            row = (letter_id, "S", "t", b"", "e", "", 1, 0, "")
            store._db.execute(
                "INSERT INTO dead (id, step, topic, payload, error, stack, attempts, died_at,"
                " trace_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        beyond = {
            keep: [row[0] for row in store._db.execute(SQL["dead_beyond"], (keep,))]
            for keep in (1, 2, 3, 4, 5)
        }

    assert beyond == {1: [1, 50, 90], 2: [1, 50], 3: [1], 4: [], 5: []}
