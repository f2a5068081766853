"""Event steps on a real store: transactions, retries, dead letters, recorded effects."""

import sys
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from tests.support.steps import dead_letters, running_engine, until, write_steps
from tidegate.engine import values
from tidegate.store.model import Key
from tidegate.store.sqlite.store import open_sqlite

pytestmark = pytest.mark.anyio
FAST = '"retry": {"attempts": 3, "base": 0.01, "cap": 0.01}'


async def test_events_naive_counters_lose_nothing(tmp_path: Path) -> None:
    """64 events at once that read, add one and write all count."""
    step = """
    config = {"type": "event", "name": "Count", "subscribes": ["n"], "concurrency": 64}
    async def handler(input, ctx, *, seen):
        n = (await ctx.state.get("c", "n") or 0) + 1
        await ctx.state.set("c", "n", n)
        seen.append(n)
    """
    seen: list[int] = []

    async with running_engine(tmp_path, {"count_step": step}, seen=seen) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(engine.emit, "n", {})
        await until(lambda: max(seen, default=0) == 64)

        stored = await engine.store.read(Key("c", "n"), 0)

    assert stored.data is not None
    assert values.decode(stored.data) == 64


async def test_events_failure_is_retried_then_dead_lettered(tmp_path: Path) -> None:
    """A failing handler runs as often as its policy says; its writes never show."""
    step = f"""
    config = {{"type": "event", "name": "Fail", "subscribes": ["x"], {FAST}}}
    async def handler(input, ctx, *, attempts):
        attempts.append(ctx.attempt)
        await ctx.state.set("g", "k", 1)
        raise RuntimeError("no")
    """
    attempts: list[int] = []

    async with running_engine(tmp_path, {"fail_step": step}, attempts=attempts) as engine:
        await engine.emit("x", {"order": 7})
        dead = await dead_letters(engine)

        stored = await engine.store.read(Key("g", "k"), 0)

    assert attempts == [1, 2, 3]
    assert (dead[0].error, dead[0].attempts) == ("RuntimeError: no", 3)
    assert values.decode(dead[0].payload) == {"order": 7}
    assert "RuntimeError" in dead[0].stack
    assert stored.data is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('raise NonRetriable("never")', "never"),
        ('await ctx.emit("other", 1)', "does not list 'other'"),
        ("seen.clear()", "is not of type"),
    ],
)
async def test_events_hopeless_ones_die_at_once(tmp_path: Path, body: str, reason: str) -> None:
    """NonRetriable, an undeclared emit and a payload off its schema are not tried again."""
    step = f"""
    from tidegate import NonRetriable
    config = {{"type": "event", "name": "Hopeless", "subscribes": ["x"], "emits": [],
              "input": {{"type": "object", "properties": {{"n": {{"type": "integer"}}}}}}}}
    async def handler(input, ctx, *, seen):
        seen.append(ctx.attempt)
        {body}
    """
    seen: list[int] = []
    payload = {"n": "text"} if "not of type" in reason else {"n": 1}

    async with running_engine(tmp_path, {"hopeless_step": step}, seen=seen) as engine:
        await engine.emit("x", payload)
        dead = await dead_letters(engine)

    assert reason in dead[0].error
    assert seen == ([] if "not of type" in reason else [1])


async def test_events_recorded_effect_happens_once(tmp_path: Path) -> None:
    """`ctx.run` gives the recorded result to a retry instead of running again."""
    step = f"""
    config = {{"type": "event", "name": "Charge", "subscribes": ["x"], {FAST}}}
    async def handler(input, ctx, *, charges, results):
        async def charge():
            charges.append(ctx.idempotency_key)
            return {{"paid": len(charges)}}
        results.append(await ctx.run("charge", charge))
        if ctx.attempt < 3:
            raise RuntimeError("after the charge")
    """
    charges: list[str] = []
    results: list[dict[str, int]] = []

    async with running_engine(
        tmp_path, {"charge_step": step}, charges=charges, results=results
    ) as engine:
        await engine.emit("x", {})
        await until(lambda: len(results) == 3)

    assert len(charges) == 1
    assert results == [{"paid": 1}] * 3


async def test_events_timeout_frees_its_slot(tmp_path: Path) -> None:
    """A handler that hangs is ended and dead-lettered; the next event goes on."""
    step = """
    import anyio
    config = {"type": "event", "name": "Slow", "subscribes": ["x"], "timeout": 0.2,
              "concurrency": 1, "retry": {"attempts": 1}}
    async def handler(input, ctx, *, done):
        if input["hang"]:
            await anyio.sleep(60)
        done.append(input)
    """
    done: list[Any] = []

    async with running_engine(tmp_path, {"slow_step": step}, done=done) as engine:
        await engine.emit("x", {"hang": True})
        await engine.emit("x", {"hang": False})
        await until(lambda: bool(done))

        dead = await engine.store.dead(limit=5)

    assert [letter.error for letter in dead] == ["TimeoutError: "]


_CHILD = """
import sys, time, anyio
from pathlib import Path
from random import Random
from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.store.sqlite.store import open_sqlite

async def main(folder):
    async with open_sqlite(folder / "state.db") as store, anyio.create_task_group() as tasks:
        engine = Engine(discover([folder / "steps"]).steps, store,
                        now_ms=lambda: time.time_ns() // 1_000_000, rng=Random())
        tasks.start_soon(Worker(engine).run)
        while True:
            await engine.emit("tick", {})
            print("emitted", flush=True)

anyio.run(main, Path(sys.argv[1]))
"""
_PING = """
config = {"type": "event", "name": "Ping", "subscribes": ["tick"], "emits": ["pong"],
          "timeout": 0.2}
async def handler(input, ctx):
    n = (await ctx.state.get("n", "sent") or 0) + 1
    await ctx.state.set("n", "sent", n)
    await ctx.emit("pong", {"n": n})
"""
_PONG = """
config = {"type": "event", "name": "Pong", "subscribes": ["pong"], "emits": [], "timeout": 0.2}
async def handler(input, ctx):
    await ctx.state.increment("n", "received")
    await ctx.state.set("seen", f"{input['n']:09}", input["n"])
"""


async def _run_and_kill(folder: Path, *, after_s: float) -> None:
    """Start the child, let it emit for a while, kill it."""
    command = [sys.executable, "-c", _CHILD, str(folder)]
    async with await anyio.open_process(command, stderr=None) as child:
        assert child.stdout is not None
        await child.stdout.receive()
        await anyio.sleep(after_s)
        child.kill()


@pytest.mark.slow
async def test_events_kill_leaves_state_and_events_in_step(tmp_path: Path) -> None:
    """`kill -9` at any moment: each state write has its event, each event is handled once."""
    steps = {"ping_step": _PING, "pong_step": _PONG}
    write_steps(tmp_path / "steps", steps)
    rng = Random(5)

    for _ in range(8):
        await _run_and_kill(tmp_path, after_s=rng.uniform(0.02, 0.3))

    async with (
        running_engine(tmp_path, steps),
        open_sqlite(tmp_path / "state.db") as store,
    ):

        async def is_idle() -> bool:
            return await store.next_due_ms(["Ping", "Pong"]) is None

        await until(is_idle, timeout_s=50)
        sent = values.decode((await store.read(Key("n", "sent"), 0)).data or b"")
        received = values.decode((await store.read(Key("n", "received"), 0)).data or b"")
        seen = await store.read_group("seen", None, 0)

    assert sent > 8
    assert received == sent
    assert [values.decode(value.data or b"") for _, value in seen] == list(range(1, sent + 1))


async def test_events_lists_of_many_keys_keep_to_the_steps_concurrency(tmp_path: Path) -> None:
    """A batch step's lists of different keys run no more at once than its concurrency allows."""
    step = """
    import anyio
    config = {"type": "event", "name": "Lists", "subscribes": ["x"], "concurrency": 2,
              "batch": {"size": 20, "wait": 0.05, "key": "/k"}}
    async def handler(events, ctx, *, at_once):
        at_once.append(at_once[-1] + 1)
        await anyio.sleep(0.02)
        at_once.append(at_once[-1] - 1)
        await ctx.state.set("seen", str(events[0]["k"]), len(events))
    """
    at_once = [0]
    async with running_engine(tmp_path, {"lists_step": step}, at_once=at_once) as engine:
        await engine.emit_many("x", [{"k": n % 20} for n in range(40)])

        async def is_done() -> bool:
            return await engine.store.pending("Lists") == 0

        await until(is_done)
        seen = await engine.transact(lambda ctx: ctx.state.get_group("seen"))

    assert len(seen) == 20
    assert max(at_once) == 2


async def test_events_a_failing_list_is_retried_by_the_real_worker(tmp_path: Path) -> None:
    """Lists that fail as a whole, and in part, come again until all of their events are done."""
    step = """
    config = {"type": "event", "name": "Lists", "subscribes": ["x"],
              "batch": {"size": 50, "wait": 0.02}, "retry": {"attempts": 6, "base": 0.01}}
    async def handler(events, ctx, *, seen):
        if len(seen) < 3:
            seen.append("whole")
            raise RuntimeError("not now")
        if len(seen) < 5:
            seen.append("part")
            return {"failed": list(range(0, len(events), 2))}
        for event in events:
            await ctx.state.increment("done", str(event))
    """
    seen: list[str] = []
    async with running_engine(tmp_path, {"lists_step": step}, seen=seen) as engine:
        await engine.emit_many("x", list(range(200)))

        async def is_done() -> bool:
            return await engine.store.pending("Lists") == 0

        await until(is_done, timeout_s=30)
        done = await engine.transact(lambda ctx: ctx.state.get_group("done"))
        dead = await engine.store.dead(limit=1)

    assert dead == []
    assert set(done) == {1}
    # Of two lists of 50 at most the even halves were retried, the odd ones were done uncounted.
    assert 150 <= len(done) < 200
