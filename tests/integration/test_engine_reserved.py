"""The runtime's own groups of the state are out of a step's reach."""

from pathlib import Path

import pytest

from tests.support.steps import dead_letters, running_engine, until

pytestmark = pytest.mark.anyio

_REACHES = """
config = {"type": "event", "name": "Reaches", "subscribes": ["x"]}
async def handler(how, ctx):
    state, group = ctx.state, "tidegate.users"
    if how == "streams":
        await ctx.streams["s"].set("g", "k", 1)
        assert await ctx.streams["s"].get_group("g") == [1]
        return await state.set("tidegatekeepers", "k", 1)
    calls = {
        "get": lambda: state.get(group, "admin"),
        "set": lambda: state.set(group, "admin", {"roles": ["admin"]}),
        "delete": lambda: state.delete(group, "admin"),
        "get_group": lambda: state.get_group(group),
        "get_pattern": lambda: state.get_pattern(group, "*"),
        "clear": lambda: state.clear(group),
        "update": lambda: state.update(group, "admin", dict),
        "increment": lambda: state.increment(group, "n"),
    }
    await calls[how]()
"""


@pytest.mark.parametrize(
    "how", ["get", "set", "delete", "get_group", "get_pattern", "clear", "update", "increment"]
)
async def test_reserved_groups_are_refused_to_steps(tmp_path: Path, how: str) -> None:
    """A step whose group comes from its caller reaches no users, sessions or keys."""
    async with running_engine(tmp_path, {"reaches_step": _REACHES}) as engine:
        await engine.transact(lambda ctx: ctx.state.set("tidegate.users", "admin", {"a": 1}))
        await engine.emit("x", how)
        [letter] = await dead_letters(engine)

        kept = await engine.transact(lambda ctx: ctx.state.get("tidegate.users", "admin"))

    assert "the runtime's own" in letter.error
    assert kept == {"a": 1}


async def test_reserved_groups_do_not_stop_streams(tmp_path: Path) -> None:
    """Streams keep their values in such groups; a group that only looks like one is free."""
    async with running_engine(tmp_path, {"reaches_step": _REACHES}) as engine:
        await engine.emit("x", "streams")

        async def it_is_set() -> bool:
            found = await engine.transact(lambda ctx: ctx.state.get("tidegatekeepers", "k"))
            return bool(found == 1)

        await until(it_is_set)
