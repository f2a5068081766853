"""Random programs of steps, run at once with faults, end as if they had run one after the other.

Each invocation notes its place in a serial order: it reads and raises a counter. Replaying the
programs in that order on plain dicts must give the same state and the same events.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.support.steps import running_engine, until
from tidegate.engine.engine import Engine

_KEYS = st.sampled_from(["a", "b", "c", "d"])
_OPERATIONS = st.one_of(
    st.tuples(st.just("add"), _KEYS, st.integers(-3, 3)),
    st.tuples(st.just("move"), _KEYS, _KEYS),
    st.tuples(st.just("sum"), _KEYS),
    st.tuples(st.just("delete"), _KEYS),
    st.tuples(st.just("emit_if_above"), _KEYS, st.integers(-2, 4)),
    st.tuples(st.just("pause")),
)
_PROGRAMS = st.lists(st.lists(_OPERATIONS, min_size=1, max_size=5), min_size=1, max_size=12)

_STEPS = {
    "run_step": '''
    import anyio
    from random import Random
    config = {"type": "event", "name": "Run", "subscribes": ["run"], "concurrency": 16,
              "retry": {"attempts": 20, "base": 0.01, "cap": 0.02}}
    async def handler(data, ctx, *, dice):
        """Run one program: its operations, then its place in the serial order."""
        state = ctx.state
        for name, *args in data["program"]:
            if name == "add":
                await state.set("s", args[0], (await state.get("s", args[0]) or 0) + args[1])
            elif name == "move":
                value = await state.get("s", args[0])
                if value is not None:
                    await state.set("s", args[1], value)
                    await state.delete("s", args[0]) if args[0] != args[1] else None
            elif name == "sum":
                await state.set("s", args[0], sum(await state.get_group("s")))
            elif name == "delete":
                await state.delete("s", args[0])
            elif name == "emit_if_above":
                if (await state.get("s", args[0]) or 0) > args[1]:
                    at = await state.get("s", args[0]) or 0
                    await ctx.emit("child", {"of": data["id"], "at": at})
            elif name == "pause":
                await anyio.sleep(0)
        place = (await state.get("order", "n") or 0) + 1
        await state.set("order", "n", place)
        await state.set("order.of", f"{place:06}", data["id"])
        if dice.random() < 0.2:
            raise RuntimeError("injected")
    ''',
    "child_step": """
    config = {"type": "event", "name": "Child", "subscribes": ["child"]}
    async def handler(data, ctx):
        heard = await ctx.state.get("heard", data["of"]) or []
        await ctx.state.set("heard", data["of"], [*heard, data["at"]])
    """,
}


def replay(
    programs: dict[str, Any], order: list[str]
) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Run the programs one after the other; return the state and what was emitted."""
    state: dict[str, int] = {}
    heard: dict[str, list[int]] = {}
    for program_id in order:
        for name, *args in programs[program_id]:
            if name == "add":
                state[args[0]] = state.get(args[0], 0) + args[1]
            elif name == "move" and args[0] in state and args[0] != args[1]:
                state[args[1]] = state.pop(args[0])
            elif name == "sum":
                state[args[0]] = sum(state.values())
            elif name == "delete":
                state.pop(args[0], None)
            elif name == "emit_if_above" and state.get(args[0], 0) > args[1]:
                heard.setdefault(program_id, []).append(state.get(args[0], 0))
    return state, heard


class Programs(RuleBasedStateMachine):
    """Programs are emitted in bursts; after each the state must be that of a serial run."""

    url_of: Callable[[Path], str]

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="tidegate-serial-")
        self._portal_of = start_blocking_portal()
        self._portal: BlockingPortal = self._portal_of.__enter__()
        folder = Path(self._folder.name)
        running = running_engine(
            folder, _STEPS, url=type(self).url_of(folder), dice=Random(len(folder.name))
        )
        self._running = self._portal.wrap_async_context_manager(running)
        self._engine: Engine = self._running.__enter__()
        self._programs: dict[str, Any] = {}

    @rule(programs=_PROGRAMS)
    def run_at_once(self, programs: list[Any]) -> None:
        """Emit programs at once, and wait until all have run."""
        new = {f"p{len(self._programs) + n}": program for n, program in enumerate(programs)}
        self._programs.update(new)
        self._portal.call(self._emit_and_wait, new)

    async def _emit_and_wait(self, programs: dict[str, Any]) -> None:
        async with anyio.create_task_group() as tasks:
            for program_id, program in programs.items():
                data = {"id": program_id, "program": program}
                tasks.start_soon(self._engine.emit, "run", data)
        store = self._engine.store

        async def is_idle() -> bool:
            return await store.pending("Run") + await store.pending("Child") == 0

        await until(is_idle, timeout_s=30)

    @invariant()
    def state_is_that_of_a_serial_run(self) -> None:
        """Compare with the replay, and find every program once in the order."""
        order, state, heard, dead = self._portal.call(self._look)

        assert dead == []
        assert sorted(order) == sorted(self._programs)
        wanted_state, wanted_heard = replay(self._programs, order)
        assert state == wanted_state
        assert {key: sorted(value) for key, value in heard.items()} == {
            key: sorted(value) for key, value in wanted_heard.items()
        }

    async def _look(self) -> tuple[list[str], dict[str, int], dict[str, list[int]], list[Any]]:
        async def read(ctx: Any) -> tuple[list[str], dict[str, int], dict[str, list[int]]]:
            state = {key: await ctx.state.get("s", key) for key in "abcd"}
            heard = {name: await ctx.state.get("heard", name) for name in self._programs}
            return (
                await ctx.state.get_group("order.of"),
                {key: value for key, value in state.items() if value is not None},
                {name: value for name, value in heard.items() if value},
            )

        return (*await self._engine.transact(read), await self._engine.store.dead(limit=1))

    def teardown(self) -> None:
        """Stop the engine and remove what it kept."""
        self._running.__exit__(None, None, None)
        self._portal_of.__exit__(None, None, None)
        self._folder.cleanup()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_conformance_programs_run_as_if_serial(
    request: pytest.FixtureRequest, store_url: str
) -> None:
    """Any programs, run at once with failing runs between them, are serializable."""
    kind = store_url.partition(":")[0]

    def url_of(folder: Path) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder}/serial.db"
        url: str = request.getfixturevalue("postgres").new_database()
        return url

    class OnThisStore(Programs):
        pass

    OnThisStore.url_of = staticmethod(url_of)
    run = settings(
        max_examples=15,
        stateful_step_count=6,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnThisStore, settings=run)
