"""The harness: steps on a virtual clock, driven by the test alone."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.steps import write_steps
from tidegate.errors import Misconfigured
from tidegate.testing import Endless, Harness

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 5, 59, 30, tzinfo=UTC)
STEPS = {
    "order_step": """
    config = {"type": "api", "name": "Order", "method": "POST", "path": "/orders",
              "middleware": ["adminMiddleware"], "emits": ["order.placed", "order.reminded"]}
    async def handler(req, ctx):
        await ctx.state.set("orders", req.body["id"], req.body)
        await ctx.emit("order.placed", req.body)
        await ctx.emit("order.reminded", req.body, delay=3600)
        return (201, {"at": ctx.now().isoformat()})
    """,
    "pack_step": """
    config = {"type": "event", "name": "Pack", "subscribes": ["order.placed"],
              "retry": {"attempts": 4, "base": 2, "cap": 5}, "emits": ["order.packed"]}
    async def handler(order, ctx, *, runs):
        runs.append(("pack", ctx.attempt, ctx.now()))
        if order.get("broken"):
            raise RuntimeError("no box fits")
        await ctx.emit("order.packed", {"id": order["id"]})
    """,
    "remind_step": """
    config = {"type": "event", "name": "Remind", "subscribes": ["order.reminded"], "emits": []}
    async def handler(order, ctx, *, runs):
        runs.append(("remind", ctx.attempt, ctx.now()))
    """,
    "morning_step": """
    config = {"type": "cron", "name": "Morning", "cron": "0 6 * * *", "emits": []}
    async def handler(ctx, *, runs):
        runs.append(("morning", ctx.attempt, ctx.now()))
    """,
}
ECHO = """
config = {"type": "event", "name": "Echo", "subscribes": ["echo"]}
async def handler(data, ctx):
    await ctx.emit("echo", data)
"""
Runs = list[tuple[str, int, datetime]]


def _harness(folder: Path, runs: Runs) -> Harness:
    return Harness(write_steps(folder, STEPS), resources={"runs": runs}, now=NOW)


def _at(runs: Runs, name: str) -> list[float]:
    """Return when a step ran, in seconds from the start."""
    return [(at - NOW).total_seconds() for what, _, at in runs if what == name]


async def test_testing_http_events_and_state(tmp_path: Path) -> None:
    """A request's state is there at once; its event is captured, and handled by drain."""
    runs: Runs = []

    async with _harness(tmp_path, runs) as h:
        answer = await h.client.post("/orders", json={"id": "a"})
        before = list(runs)
        packed = h.capture("order.packed")
        handled = await h.drain()

        stranger = await h.client.post("/orders", headers={"Authorization": ""})
        state, nothing = await h.state("orders", "a"), await h.state("orders", "b")
        everything = h.capture("order.*")

    assert (answer.status_code, answer.json()) == (201, {"at": NOW.isoformat()})
    assert stranger.status_code == 401
    assert (before, handled, packed) == ([], 1, [{"id": "a"}])
    assert (state, nothing) == ({"id": "a"}, None)
    assert everything == [{"id": "a"}] * 3


async def test_testing_retries_follow_the_policy_and_end_dead(tmp_path: Path) -> None:
    """The retries wait 2, 4 and 5 (the cap) virtual seconds; then the event is dead."""
    runs: Runs = []

    async with _harness(tmp_path, runs) as h:
        await h.emit("order.placed", {"id": "a", "broken": True})
        await h.tick(10.999)
        too_early = await h.dead()
        await h.tick(0.001)
        [dead] = await h.dead()

    assert _at(runs, "pack") == [0, 2, 6, 11]
    assert [attempt for _, attempt, _ in runs] == [1, 2, 3, 4]
    assert too_early == []
    assert (dead.step, dead.error, dead.attempts) == ("Pack", "RuntimeError: no box fits", 4)
    assert dead.payload == {"id": "a", "broken": True}


async def test_testing_delays_and_cron_run_at_their_time(tmp_path: Path) -> None:
    """Two days take no time; what was delayed by an hour and what is due at six run then."""
    runs: Runs = []
    began = time.monotonic()

    async with _harness(tmp_path, runs) as h:
        await h.client.post("/orders", json={"id": "a"})
        await h.drain()
        await h.tick(3599)
        early = _at(runs, "remind")
        await h.tick(2 * 24 * 3600)

        ended = h.clock.now()

    assert early == []
    assert _at(runs, "remind") == [3600]
    assert _at(runs, "morning") == [30, 30 + 24 * 3600, 30 + 48 * 3600]
    assert ended == NOW + timedelta(seconds=3599, days=2)
    assert time.monotonic() - began < 10


async def test_testing_endless_steps_are_told(tmp_path: Path) -> None:
    """Steps that emit to each other for ever end the drain instead of hanging the test."""
    folder = write_steps(tmp_path, {"echo_step": ECHO})

    async with Harness(folder, most_events=50) as h:
        await h.emit("echo", 1)

        with pytest.raises(Endless):
            await h.drain()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_like_it", r"bad_step\.py:1: ModuleNotFoundError"),
        (
            "\n\nconfig = {'type': 'cron', 'name': 'C', 'cron': '61 * * * *'}",
            r"bad_step\.py:3: cron",
        ),
        (
            "\nconfig = {'type': 'event', 'name': 'E', 'subscribes': ['x']}",
            r"bad_step\.py:2: nobody provides the resource 'gone'",
        ),
        (
            "config = {'type': 'api', 'name': 'A', 'path': '/a', 'middleware': ['my']}",
            r"bad_step\.py:1: unknown middleware 'my'",
        ),
        (
            "config = {'type': 'api', 'name': 'A', 'path': '/a', 'bodySchema': {'type': 'txt'}}",
            r"bad_step\.py:1: schema is not valid",
        ),
    ],
)
async def test_testing_wrong_steps_are_named(tmp_path: Path, text: str, reason: str) -> None:
    """A step that is wrong in any way is told with file, line and reason."""
    handler = "async def handler(*, gone): ..." if "gone" in reason else "async def handler(): ..."
    (tmp_path / "bad_step.py").write_text(f"{text}\n{handler}\n", "utf-8")

    with pytest.raises(Misconfigured, match=reason):
        async with Harness(tmp_path):
            pass


async def test_harness_lets_a_failed_assertion_through_as_it_is(tmp_path: Path) -> None:
    """What a test raises inside of the harness is not wrapped into a group of errors."""
    steps = write_steps(tmp_path, {"echo_step": ECHO})

    async def failing() -> None:
        async with Harness(steps) as harness:
            await harness.drain()
            raise AssertionError("not so")

    with pytest.raises(AssertionError, match="not so"):
        await failing()
