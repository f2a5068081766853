"""Events: order, size, schemas, timeouts, retries, and what a crash leaves."""

import asyncio
import sys
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from tests.support.steps import dead_letters, running_engine, until
from tidegate.contract import Context
from tidegate.engine.engine import Engine

pytestmark = pytest.mark.anyio


async def _state(engine: Engine, group: str, key: str) -> Any:
    async def get(ctx: Context) -> Any:
        return await ctx.state.get(group, key)

    return await engine.transact(get)


async def test_conformance_1_order_inside_a_key(tmp_path: Path, store_url: str) -> None:
    """Six messages with one key are handled in order; a failing head blocks only its key."""
    step = """
    config = {"type": "event", "name": "Note", "subscribes": ["n"], "key": "/k",
              "retry": {"attempts": 3, "base": 0.2, "jitter": False}}
    async def handler(data, ctx):
        if data == {"k": "slow", "n": 0} and ctx.attempt < 3:
            raise ValueError("not yet")
        seen = await ctx.state.get("seen", data["k"]) or []
        await ctx.state.set("seen", data["k"], [*seen, data["n"]])
    """
    async with running_engine(tmp_path, {"note_step": step}, url=store_url) as engine:
        for n in range(6):
            await engine.emit("n", {"k": "slow", "n": n})
            await engine.emit("n", {"k": "quick", "n": n})

        async def quick_is_done() -> bool:
            return len(await _state(engine, "seen", "quick") or []) == 6

        async def slow_is_done() -> bool:
            return len(await _state(engine, "seen", "slow") or []) == 6

        await until(quick_is_done)
        assert await _state(engine, "seen", "slow") is None
        await until(slow_is_done)
        assert await _state(engine, "seen", "slow") == [0, 1, 2, 3, 4, 5]
        assert await _state(engine, "seen", "quick") == [0, 1, 2, 3, 4, 5]


async def test_conformance_2_one_invocation_emits_ten_thousand(
    tmp_path: Path, store_url: str
) -> None:
    """An invocation that emits 10,000 events: all of them are handled, once."""
    steps = {
        "fan_step": """
    config = {"type": "event", "name": "Fan", "subscribes": ["fan"]}
    async def handler(data, ctx):
        for n in range(10_000):
            await ctx.emit("leaf", n)
    """,
        "leaf_step": """
    config = {"type": "event", "name": "Leaf", "subscribes": ["leaf"], "concurrency": 64,
              "batch": {"size": 500, "wait": 0.1}}
    async def handler(numbers, ctx, *, seen):
        await ctx.state.set("leaves", str(numbers[0]), len(numbers))
        seen.extend(numbers)
    """,
    }
    seen: list[int] = []
    async with running_engine(tmp_path, steps, url=store_url, seen=seen) as engine:
        await engine.emit("fan", {})

        async def is_done() -> bool:
            return len(seen) >= 10_000 and await engine.store.pending("Leaf") == 0

        await until(is_done, timeout_s=50)
        counts = await engine.transact(lambda ctx: ctx.state.get_group("leaves"))

    assert sum(counts) == 10_000
    assert set(seen) == set(range(10_000))


async def test_conformance_7_invalid_event_is_dead_and_not_handled(
    tmp_path: Path, store_url: str
) -> None:
    """An event that does not fit `input` is dead-lettered; the handler does not run."""
    step = """
    config = {"type": "event", "name": "Strict", "subscribes": ["n"],
              "input": {"type": "object", "required": ["id"]}}
    async def handler(data, ctx, *, seen):
        seen.append(data)
    """
    seen: list[Any] = []
    async with running_engine(tmp_path, {"strict_step": step}, url=store_url, seen=seen) as engine:
        await engine.emit("n", {"no": "id"})
        [letter] = await dead_letters(engine)

    assert letter.attempts == 1
    assert "id" in letter.error
    assert seen == []


async def test_conformance_8_an_event_of_five_megabytes(tmp_path: Path, store_url: str) -> None:
    """A 5 MB event arrives as it was sent."""
    step = """
    config = {"type": "event", "name": "Big", "subscribes": ["n"]}
    async def handler(data, ctx, *, seen):
        seen.append(data)
    """
    seen: list[Any] = []
    sent = {"blob": Random(1).randbytes(5_000_000), "text": "ä" * 1000}
    async with running_engine(tmp_path, {"big_step": step}, url=store_url, seen=seen) as engine:
        await engine.emit("n", sent)
        await until(lambda: bool(seen))

    assert seen == [sent]


async def test_conformance_12_naive_counters_lose_nothing(tmp_path: Path, store_url: str) -> None:
    """64 concurrent naive read-modify-write invocations of one counter: none is lost."""
    step = """
    import anyio
    config = {"type": "event", "name": "Count", "subscribes": ["n"], "concurrency": 64}
    async def handler(data, ctx):
        count = await ctx.state.get("counter", "n") or 0
        await anyio.sleep(0)
        await ctx.state.set("counter", "n", count + 1)
    """
    async with running_engine(tmp_path, {"count_step": step}, url=store_url) as engine:
        async with anyio.create_task_group() as tasks:
            for n in range(64):
                tasks.start_soon(engine.emit, "n", n)

        async def is_done() -> bool:
            return await engine.store.pending("Count") == 0

        await until(is_done, timeout_s=30)
        assert await _state(engine, "counter", "n") == 64
        assert await engine.store.dead(limit=1) == []


async def test_conformance_13_a_timeout_frees_its_place_and_commits_nothing(
    tmp_path: Path, store_url: str
) -> None:
    """A handler that times out frees its slot, and cannot commit late."""
    step = """
    import anyio
    config = {"type": "event", "name": "Slow", "subscribes": ["n"], "timeout": 0.3,
              "concurrency": 1, "retry": {"attempts": 1}}
    async def handler(data, ctx, *, seen):
        await ctx.state.set("late", str(data), True)
        if data == 0:
            try:
                await anyio.sleep(5)
            except BaseException:
                pass
        seen.append(data)
    """
    seen: list[Any] = []
    async with running_engine(tmp_path, {"slow_step": step}, url=store_url, seen=seen) as engine:
        await engine.emit("n", 0)
        await engine.emit("n", 1)
        await until(lambda: 1 in seen)
        [letter] = await dead_letters(engine)
        late = await _state(engine, "late", "0")

    assert letter.error.startswith("TimeoutError")
    assert late is None


async def test_conformance_15_a_redrive_touches_no_other(tmp_path: Path, store_url: str) -> None:
    """`NonRetriable` dies at once; redriving one message touches no other."""
    step = """
    from tidegate import NonRetriable
    config = {"type": "event", "name": "Dies", "subscribes": ["n"]}
    async def handler(data, ctx):
        if not await ctx.state.get("door", "open"):
            raise NonRetriable("closed")
        await ctx.state.set("passed", str(data), ctx.attempt)
    """
    async with running_engine(tmp_path, {"dies_step": step}, url=store_url) as engine:
        for n in range(3):
            await engine.emit("n", n)

        async def all_are_dead() -> bool:
            return len(await engine.store.dead(limit=10)) == 3

        await until(all_are_dead)
        letters = await engine.store.dead(limit=10)
        await engine.transact(lambda ctx: ctx.state.set("door", "open", True))
        middle = next(letter for letter in letters if letter.payload == b"\x01")
        assert await engine.redrive([middle.id]) == 1

        async def has_passed() -> bool:
            return await _state(engine, "passed", "1") is not None

        await until(has_passed)
        left = await engine.store.dead(limit=10)

    assert [letter.id for letter in left] == [one.id for one in letters if one != middle]


_CHILD = Path(__file__).parent / "forking_child.py"


class _Forks:
    """A process that forks one that works, as often as it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run_and_kill(self, *, after_s: float) -> None:
        """Let a child work for a while, then kill it at whatever it does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%f\n" % after_s)
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        assert line == b"killed\n", line


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_conformance_11_a_kill_leaves_both_or_neither(tmp_path: Path, store_url: str) -> None:
    """200 kills of a real process at random: each state write has its event, handled once."""
    steps = {
        "ping_step": """
    config = {"type": "event", "name": "Ping", "subscribes": ["tick"], "emits": ["pong"]}
    async def handler(input, ctx):
        n = (await ctx.state.get("n", "sent") or 0) + 1
        await ctx.state.set("n", "sent", n)
        await ctx.emit("pong", {"n": n})
    """,
        "pong_step": """
    config = {"type": "event", "name": "Pong", "subscribes": ["pong"], "emits": []}
    async def handler(input, ctx):
        await ctx.state.increment("n", "received")
        await ctx.state.set("seen", f"{input['n']:09}", input["n"])
    """,
    }
    rng = Random(7)
    async with running_engine(tmp_path, steps, url=store_url):
        pass
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_CHILD), str(tmp_path / "steps"), store_url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    forks = _Forks(process)
    for _ in range(200):
        await forks.run_and_kill(after_s=rng.uniform(0.0, 0.15))
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()

    async with running_engine(tmp_path, steps, url=store_url) as engine:
        await engine.store.release_all(now_ms=engine.now_ms())

        async def is_idle() -> bool:
            return await engine.store.next_due_ms(["Ping", "Pong"]) is None

        await until(is_idle, timeout_s=60)
        sent = await _state(engine, "n", "sent")
        received = await _state(engine, "n", "received")
        seen = await engine.transact(lambda ctx: ctx.state.get_group("seen"))

    assert sent > 200
    assert received == sent
    assert seen == list(range(1, sent + 1))
