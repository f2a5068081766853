"""What the step contract says of queues, waits, batches, rates and lapses; on a virtual clock."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.steps import write_steps
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio


async def test_engine_key_keeps_order_and_a_failing_head_blocks_only_its_key(
    tmp_path: Path,
) -> None:
    """Events of one key are handled in order, also over a retry; other keys go on."""
    steps = {
        "note_step": """
            config = {"type": "event", "name": "Note", "subscribes": ["n"], "key": "/k",
                      "retry": {"attempts": 2, "base": 10, "jitter": False}}
            async def handler(data, ctx):
                if data["n"] == 0 and data["k"] == "bad" and ctx.attempt == 1:
                    raise ValueError("not yet")
                seen = await ctx.state.get("seen", data["k"]) or []
                await ctx.state.set("seen", data["k"], [*seen, data["n"]])
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        for n in range(6):
            await h.emit("n", {"k": "bad", "n": n})
            await h.emit("n", {"k": "good", "n": n})

        await h.drain()

        assert await h.state("seen", "good") == [0, 1, 2, 3, 4, 5]
        assert await h.state("seen", "bad") is None
        await h.tick(11)
        assert await h.state("seen", "bad") == [0, 1, 2, 3, 4, 5]


async def test_engine_dead_head_lets_the_next_of_its_key_go_on(tmp_path: Path) -> None:
    """A head that dies frees its lane; redriven it is the same invocation."""
    steps = {
        "note_step": """
            from tidegate import NonRetriable
            config = {"type": "event", "name": "Note", "subscribes": ["n"], "key": "/k"}
            async def handler(data, ctx):
                times = await ctx.run("count", lambda: ctx.idempotency_key)
                if data["n"] == 0 and not await ctx.state.get("open", "door"):
                    raise NonRetriable("closed")
                seen = await ctx.state.get("seen", "k") or []
                await ctx.state.set("seen", "k", [*seen, [data["n"], times]])
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", {"k": "a", "n": 0})
        await h.emit("n", {"k": "a", "n": 1})
        await h.drain()
        assert [n for n, _ in await h.state("seen", "k")] == [1]

        await h.engine.transact(lambda ctx: ctx.state.set("open", "door", True))
        await h.engine.redrive([dead.id for dead in await h.dead()])
        await h.drain()

        assert await h.state("seen", "k") == [[1, "Note-2"], [0, "Note-1"]]


async def test_engine_sleep_commits_what_was_before_once(tmp_path: Path) -> None:
    """Before a durable sleep is committed with it, after it runs when the time is over."""
    steps = {
        "slow_step": """
            config = {"type": "event", "name": "Slow", "subscribes": ["go"]}
            async def handler(data, ctx):
                await ctx.state.increment("n", "before")
                await ctx.emit("began", {})
                await ctx.sleep(3600)
                await ctx.state.increment("n", "after")
                await ctx.emit("ended", {"attempt": ctx.attempt})
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("go")
        await h.drain()
        assert (await h.state("n", "before"), await h.state("n", "after")) == (1, None)

        await h.tick(3599)
        assert h.capture("ended") == []
        await h.tick(2)

        assert (await h.state("n", "before"), await h.state("n", "after")) == (1, 1)
        assert (h.capture("began"), h.capture("ended")) == ([{}], [{"attempt": 1}])


async def test_engine_wait_for_gets_the_event_that_matches(tmp_path: Path) -> None:
    """A wait ends with the first event whose fields match, or with TimeoutError."""
    steps = {
        "ask_step": """
            config = {"type": "event", "name": "Ask", "subscribes": ["ask"]}
            async def handler(data, ctx):
                await ctx.emit("asked", data)
                try:
                    answer = await ctx.wait_for("answer", {"id": data["id"]}, timeout=60)
                except TimeoutError:
                    answer = "none came"
                await ctx.state.set("answers", str(data["id"]), answer)
        """,
        "echo_step": """
            config = {"type": "event", "name": "Echo", "subscribes": ["asked"]}
            async def handler(data, ctx):
                if data["id"] == 1:
                    await ctx.emit("answer", {"id": 99, "text": "not yours"})
                    await ctx.emit("answer", {"id": 1, "text": "yes"})
        """,
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("ask", {"id": 1})
        await h.emit("ask", {"id": 2})

        await h.drain()

        assert await h.state("answers", "1") == {"id": 1, "text": "yes"}
        assert await h.state("answers", "2") is None
        await h.tick(61)
        assert await h.state("answers", "2") == "none came"


async def test_engine_batch_retries_only_what_failed(tmp_path: Path) -> None:
    """A batch handler gets a list; the indexes that it returns as failed come again."""
    steps = {
        "sum_step": """
            config = {"type": "event", "name": "Sum", "subscribes": ["n"],
                      "batch": {"size": 4, "wait": 1},
                      "retry": {"attempts": 2, "base": 5, "jitter": False}}
            async def handler(events, ctx):
                lists = await ctx.state.get("sum", "lists") or []
                await ctx.state.set("sum", "lists", [*lists, events])
                return {"failed": [i for i, n in enumerate(events) if n == 2 and ctx.attempt == 1]}
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        for n in range(5):
            await h.emit("n", n)
        await h.drain()
        await h.tick(6)

        assert await h.state("sum", "lists") == [[0, 1, 2, 3], [4], [2]]
        assert await h.dead() == []


async def test_engine_rate_limit_lets_what_is_above_wait(tmp_path: Path) -> None:
    """No more than the limit begin in any period; nothing is lost."""
    steps = {
        "call_step": """
            config = {"type": "event", "name": "Call", "subscribes": ["n"],
                      "rateLimit": {"limit": 2, "per": 10}}
            async def handler(data, ctx):
                times = await ctx.state.get("calls", "at") or []
                await ctx.state.set("calls", "at", [*times, ctx.now().timestamp()])
        """
    }
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with Harness(write_steps(tmp_path / "steps", steps), now=start) as h:
        for n in range(5):
            await h.emit("n", n)
        await h.tick(60)

        at = [round(time - start.timestamp()) for time in await h.state("calls", "at")]
        assert at == [0, 0, 10, 10, 20]


async def test_engine_lapsed_value_tells_its_topic_once(tmp_path: Path) -> None:
    """A value set with on_expire is told when it lapses, but not when it was set again before."""
    steps = {
        "hold_step": """
            config = {"type": "event", "name": "Hold", "subscribes": ["hold"]}
            async def handler(data, ctx):
                await ctx.state.set("holds", data["id"], data, ttl=data["ttl"],
                                    on_expire="hold.lapsed")
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("hold", {"id": "a", "ttl": 10})
        await h.emit("hold", {"id": "b", "ttl": 10})
        await h.tick(5)
        await h.emit("hold", {"id": "b", "ttl": 100})
        await h.tick(20)

        told = h.capture("hold.lapsed")
        assert told == [{"group": "holds", "key": "a", "value": {"id": "a", "ttl": 10}}]


async def test_engine_emit_at_and_key_of_the_emission(tmp_path: Path) -> None:
    """An event emitted at a time comes then; emit's key orders events of a step without its own."""
    steps = {
        "plan_step": """
            from datetime import timedelta
            config = {"type": "event", "name": "Plan", "subscribes": ["plan"]}
            async def handler(data, ctx):
                await ctx.emit("due", {"n": 1}, at=ctx.now() + timedelta(hours=1), key="x")
                await ctx.emit("due", {"n": 2}, key="x")
        """,
        "due_step": """
            config = {"type": "event", "name": "Due", "subscribes": ["due"]}
            async def handler(data, ctx):
                seen = await ctx.state.get("due", "seen") or []
                await ctx.state.set("due", "seen", [*seen, data["n"]])
        """,
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("plan")
        await h.drain()
        assert await h.state("due", "seen") is None

        await h.tick(timedelta(hours=1).total_seconds())

        assert await h.state("due", "seen") == [1, 2]


async def test_engine_sync_serves_plain_handlers(tmp_path: Path) -> None:
    """A plain def handler uses ctx.sync: the same calls, in the same transaction."""
    steps = {
        "plain_step": """
            config = {"type": "event", "name": "Plain", "subscribes": ["n"]}
            def handler(data, ctx):
                total = ctx.sync.state.increment("plain", "n", data)
                ctx.sync.emit("total", total)
                ctx.sync.run("effect", lambda: 1)
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", 2)
        await h.emit("n", 3)
        await h.drain()

        assert h.capture("total") == [2, 5]


async def test_engine_process_handler_has_the_same_ctx(tmp_path: Path) -> None:
    """execution: process runs the handler elsewhere, its transaction and its errors here."""
    steps = {
        "heavy_step": """
            import os
            from tidegate import NonRetriable
            config = {"type": "event", "name": "Heavy", "subscribes": ["n"], "emits": ["done"],
                      "execution": "process"}
            async def handler(data, ctx):
                print("to stderr")
                if data < 0:
                    raise NonRetriable("below zero")
                await ctx.state.increment("heavy", "n", data)
                await ctx.emit("done", {"here": os.getpid(), "ran": await ctx.run("x", lambda: 7)})
                if data == 5:
                    await ctx.emit("undeclared", {})
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        for n in (2, 3, -1, 5):
            await h.emit("n", n)
        await h.drain()

        assert await h.state("heavy", "n") == 5
        assert [one["ran"] for one in h.capture("done")] == [7, 7]
        assert h.capture("done")[0]["here"] != os.getpid()
        assert [dead.error.partition(":")[0] for dead in await h.dead()] == [
            "NonRetriable",
            "UndeclaredEmit",
        ]


async def test_engine_forgotten_await_loses_nothing(tmp_path: Path) -> None:
    """What is set, deleted or emitted without `await` is done all the same."""
    steps = {
        "hasty_step": """
            config = {"type": "event", "name": "Hasty", "subscribes": ["n"]}
            async def handler(data, ctx):
                ctx.state.set("hasty", "a", 1)
                ctx.state.set("hasty", "b", 2)
                ctx.state.delete("hasty", "a")
                ctx.emit("done", {"n": data})
                ctx.emit({"topic": "done", "data": "later", "delay": 60})
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", 1)
        await h.drain()

        assert (await h.state("hasty", "a"), await h.state("hasty", "b")) == (None, 2)
        assert h.capture("done") == [{"n": 1}, "later"]


async def test_engine_ctx_takes_nothing_after_its_commit(tmp_path: Path) -> None:
    """Who keeps `ctx` and writes after the commit is told, instead of losing it silently."""
    steps = {
        "keeper_step": """
            config = {"type": "event", "name": "Keeper", "subscribes": ["n"]}
            async def handler(data, ctx, *, kept):
                kept.append(ctx)
        """
    }
    kept: list[Any] = []
    async with Harness(write_steps(tmp_path / "steps", steps), resources={"kept": kept}) as h:
        await h.emit("n", 1)
        await h.drain()

        with pytest.raises(RuntimeError, match="has committed already"):
            kept[0].state.set("g", "k", 1)
        with pytest.raises(RuntimeError, match="has committed already"):
            kept[0].emit("late", {})
