"""The faults that a test can inject through the harness."""

from pathlib import Path

import pytest

from tests.support.steps import write_steps
from tidegate.testing import Harness, crash_everywhere

pytestmark = pytest.mark.anyio

_STEPS = {
    "pay_step": """
        config = {"type": "event", "name": "Pay", "subscribes": ["order"],
                  "retry": {"attempts": 3, "base": 1, "jitter": False}, "timeout": 0.2}
        async def handler(data, ctx, *, charges):
            await ctx.state.increment("orders", "n")
            await ctx.run("charge", lambda: charges.append(ctx.idempotency_key))
            await ctx.emit("paid", data)
    """,
    "ship_step": """
        config = {"type": "event", "name": "Ship", "subscribes": ["paid"]}
        async def handler(data, ctx):
            seen = await ctx.state.get("shipped", "n") or []
            await ctx.state.set("shipped", "n", [*seen, data["n"]])
    """,
}


def _harness(folder: Path, charges: list[str]) -> Harness:
    return Harness(write_steps(folder / "steps", _STEPS), resources={"charges": charges})


async def test_faults_fail_before_and_after_the_handler(tmp_path: Path) -> None:
    """A failed run leaves nothing but its recorded effect; the retry does the rest."""
    charges: list[str] = []
    async with _harness(tmp_path, charges) as h:
        h.faults.fail("Pay")
        h.faults.fail("Pay", after=True)
        await h.emit("order", {"n": 1})
        await h.tick(10)

        assert (await h.state("orders", "n"), len(charges)) == (1, 1)
        assert await h.state("shipped", "n") == [1]


async def test_faults_slow_handler_meets_its_timeout(tmp_path: Path) -> None:
    """A handler that is slower than its timeout fails as in production."""
    async with _harness(tmp_path, []) as h:
        h.faults.slow("Pay", 0.3)
        await h.emit("order", {"n": 1})
        await h.tick(10)

        assert [dead.error for dead in await h.dead()] == ["TimeoutError: "]


async def test_faults_duplicate_is_committed_once(tmp_path: Path) -> None:
    """Two workers with one event: the state changes once."""
    charges: list[str] = []
    async with _harness(tmp_path, charges) as h:
        h.faults.duplicate("Pay")
        await h.emit("order", {"n": 1})
        await h.drain()

        assert await h.state("orders", "n") == 1
        assert await h.state("shipped", "n") == [1]
        assert len(set(charges)) == 1


async def test_faults_reorder_changes_the_order(tmp_path: Path) -> None:
    """What is due is handled in another order; all of it is handled."""
    async with _harness(tmp_path, []) as h:
        h.faults.reorder(seed=3)
        for n in range(8):
            await h.emit("order", {"n": n})
        await h.drain()

        shipped = await h.state("shipped", "n")
        assert shipped != sorted(shipped)
        assert sorted(shipped) == list(range(8))


async def test_faults_crash_between_any_two_operations_loses_nothing(tmp_path: Path) -> None:
    """Wherever the process dies, state and events agree, and an effect has one key."""
    charges: list[str] = []

    async def scenario(h: Harness) -> None:
        charges.clear()
        await h.emit("order", {"n": 1})
        await h.drain()

    async def check(h: Harness) -> None:
        orders = await h.state("orders", "n") or 0
        assert orders in (0, 1)
        assert (await h.state("shipped", "n") or []) == [1] * orders
        assert len(h.capture("paid")) == orders
        assert len(set(charges)) == orders
        assert await h.dead() == []

    deaths = await crash_everywhere(lambda: _harness(tmp_path, charges), scenario, check)

    assert deaths > 10


async def test_faults_reach_a_handler_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Failures before and after it, and slowness, act around the call of its process."""
    steps = {
        "heavy_step": """
            config = {"type": "event", "name": "Heavy", "subscribes": ["n"], "timeout": 2,
                      "execution": "process",
                      "retry": {"attempts": 3, "base": 1, "jitter": False}}
            async def handler(data, ctx):
                await ctx.state.increment("heavy", "n")
                await ctx.run("effect", lambda: 1)
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        h.faults.fail("Heavy")
        h.faults.fail("Heavy", after=True)
        await h.emit("n", 1)
        await h.drain()
        assert await h.state("heavy", "n") is None
        await h.tick(1)
        assert await h.state("heavy", "n") is None
        await h.tick(2)
        assert await h.state("heavy", "n") == 1

        h.faults.slow("Heavy", 20.0)
        await h.emit("n", 1)
        await h.drain()
        await h.tick(1)
        await h.tick(2)
        assert "TimeoutError" in (await h.dead())[0].error


async def test_faults_reach_a_handler_that_yields(tmp_path: Path) -> None:
    """An answer in pieces fails before its first piece, or after its last."""
    steps = {
        "pieces_step": """
            config = {"type": "api", "name": "Pieces", "path": "/pieces", "timeout": 0.3}
            async def handler(req, ctx):
                await ctx.state.increment("pieces", "n")
                yield "a"
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        h.faults.fail("Pieces")
        assert (await h.client.get("/pieces")).status_code == 500
        assert await h.state("pieces", "n") is None

        assert (await h.client.get("/pieces")).text == "a"
        assert await h.state("pieces", "n") == 1

        h.faults.slow("Pieces", 20.0)
        assert (await h.client.get("/pieces")).status_code != 200
        assert await h.state("pieces", "n") == 1
