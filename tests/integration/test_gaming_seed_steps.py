"""The seed's three Python steps, as printed there, load and run (contract, conformance 19)."""

import ast
import builtins
from pathlib import Path
from typing import Any

import pytest

from tidegate.contract import Context
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio

SEED = Path(__file__).parents[1] / "fixtures" / "seed"
MISSING = {
    "track_usage": {"get_plan_limits"},
    "recommend_products": {"datetime"},
    "detect_cheating": {
        "detect_speed_hack",
        "detect_wall_hack",
        "detect_macro_usage",
        "calculate_cheat_confidence",
        "compile_evidence",
        "calculate_speed",
        "calculate_direction_change",
        "calculate_acceleration",
        "get_skill_bracket",
    },
}


async def _set(h: Harness, group: str, key: str, value: Any) -> None:
    async def put(ctx: Context) -> None:
        await ctx.state.set(group, key, value)

    await h.engine.transact(put)


def _unbound(file: Path) -> set[str]:
    """Return the names that a file uses and neither binds nor finds among the built-in ones."""
    names = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    used = {n.id for n in names if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in names if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.name for n in names if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    bound |= {n.arg for n in names if isinstance(n, ast.arg)}
    for node in names:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return used - bound - set(dir(builtins))


@pytest.mark.parametrize("name", sorted(MISSING))
async def test_gaming_seed_globals_provide_exactly_what_is_missing(name: str) -> None:
    """What a sample leaves unbound is what its `step_globals.py` provides, no more, no less."""
    [file] = (SEED / name).glob("*_step.py")

    async with Harness(SEED / name) as h:
        [step] = h.engine.steps.values()

    assert _unbound(file) == MISSING[name]
    assert set(step.given) == MISSING[name]


async def test_gaming_seed_track_usage_runs() -> None:
    """Calls are counted by endpoint and in total; beyond the plan's limit the tenant is told."""
    async with Harness(SEED / "track_usage") as h:
        await _set(h, "tenants", "acme", {"plan": "free"})
        for endpoint in ("/a", "/a", "/b", "/a"):
            await h.emit("api.request.completed", {"tenantId": "acme", "endpoint": endpoint})
        await h.drain()

        exceeded = h.capture("usage.threshold.exceeded")
        [usage] = await h.engine.transact(lambda ctx: ctx.state.get_group("analytics"))
        dead = await h.dead()

    assert usage == {"/a": 3, "/b": 1, "total": 4}
    assert exceeded == [{"tenantId": "acme", "usage": 4, "limit": 3}]
    assert dead == []


async def test_gaming_seed_recommend_products_runs() -> None:
    """What those bought who bought the same is recommended."""
    async with Harness(SEED / "recommend_products") as h:
        for user, products in (("a", "123"), ("b", "1234"), ("c", "789")):
            for product in products:
                seen = {"userId": user, "productId": product, "action": "purchase"}
                await h.emit("user.purchased.product", seen)
        seen = {"userId": "a", "productId": "1", "action": "view"}
        await h.emit("user.viewed.product", seen)
        await h.drain()

        kept = await h.state("recommendations", "a")
        told = h.capture("recommendations.updated")
        dead = await h.dead()

    assert dead == []
    assert kept["products"][0]["productId"] == "4"
    assert told[-1] == {"userId": "a", "recommendations": kept["products"]}


@pytest.mark.parametrize(
    ("speed", "topic"), [(25.0, "cheat.detected"), (5.0, "player.flagged"), (0.0, None)]
)
async def test_gaming_seed_detect_cheating_runs(speed: float, topic: str | None) -> None:
    """Ten inputs are judged: too fast is reported, a constant rhythm flagged, the rest nothing."""
    async with Harness(SEED / "detect_cheating") as h:
        for n in range(12):
            at = n * 1000 if speed else n * 1000 + n % 3
            moved: dict[str, Any] = {"type": "move", "position": {"x": n * speed, "y": 0.0}}
            if n % 2:
                moved |= {"type": "reaction", "reactionTime": 200 + n}
            await _set(h, "player_inputs", f"s:ann:{n:03}", {"input": moved, "timestamp": at})
        await h.emit("player.input.recorded", {"sessionId": "s", "playerId": "ann"})
        await h.drain()

        told = {t: len(h.capture(t)) for t in ("cheat.detected", "player.flagged")}
        dead = await h.dead()

    assert dead == []
    assert told == {t: int(t == topic) for t in told}


async def test_gaming_seed_step_without_globals_fails_by_name(tmp_path: Path) -> None:
    """Without `step_globals.py` the sample's first missing name is what the dead letter says."""
    [file] = (SEED / "recommend_products").glob("*_step.py")
    (tmp_path / file.name).write_bytes(file.read_bytes())

    async with Harness(tmp_path) as h:
        for product in "123":
            seen = {"userId": "a", "productId": product, "action": "view"}
            await h.emit("user.viewed.product", seen)
        await h.tick(3600)

        [dead] = await h.dead()

    assert dead.error == "NameError: name 'datetime' is not defined"
