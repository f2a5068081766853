"""`ctx.streams`: values are state, every write notes a change, subscriptions are owned."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import anyio
import pytest

from tests.support.fake_context import FakeClock, FakeState
from tests.support.stream_log import MemoryLog
from tidegate.contract import State
from tidegate.engine import values
from tidegate.engine.streams import TransactionStreams
from tidegate.errors import NonRetriable
from tidegate.store.model import StreamChange, stream_group
from tidegate.streams.hub import Hub

pytestmark = pytest.mark.anyio
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Run:
    """One run of a handler against a hub."""

    def __init__(self, hub: Hub | None = None) -> None:
        self.log = MemoryLog()
        self.hub = hub or Hub(self.log)
        self.state = FakeState(FakeClock())
        self.noted: list[StreamChange] = []
        self.streams = TransactionStreams(cast("State", self.state), self.noted.append, self.hub)

    def commit(self) -> None:
        self.hub.publish(self.log.commit(*self.noted))
        self.noted.clear()


async def test_streams_keep_values_in_the_state() -> None:
    """What is set is read back in the run, by key and by group, and lies in the state."""
    run = _Run()
    game = run.streams["game:42"]

    await game.set("board", "b", {"x": 1})
    await game.set("board", "a", 0)
    await game.set("other", "c", None)
    await game.delete("other", "c")

    assert await game.get("board", "b") == {"x": 1}
    assert await game.get_group("board") == [0, {"x": 1}]
    assert await game.get_group("other") == []
    assert await run.state.get(stream_group("game:42", "board"), "a") == 0


@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), {"a": [Decimal("Infinity")]}, {True: 1}, {None: 1}, {(1, 2): 3}],
    ids=repr,
)
async def test_streams_refuse_what_no_client_can_read(value: object) -> None:
    """A value that is kept but is no JSON would break its followers: nothing of it is written."""
    run = _Run()
    game = run.streams["game"]

    with pytest.raises(NonRetriable, match="as JSON"):
        await game.set("g", "k", value)
    with pytest.raises(NonRetriable, match="as JSON"):
        await game.send("g", value)

    assert run.noted == []
    assert await game.get("g", "k") is None


@pytest.mark.parametrize("value", [Decimal("1.10"), 2**70, {1: "one"}, b"bytes", EPOCH], ids=repr)
async def test_streams_take_what_clients_can_read(value: object) -> None:
    """Exact numbers, long integers, bytes and times are no less than they were."""
    run = _Run()
    game = run.streams["game"]

    await game.set("g", "k", value)
    await game.send("g", value)

    assert [values.decode(change.data or b"") for change in run.noted] == [value, value]


async def test_streams_note_a_change_for_every_write() -> None:
    """Changes are noted in order, also when a key is written twice."""
    run = _Run()
    game = run.streams["game"]

    await game.set("g", "k", 1)
    await game.set("g", "k", 2)
    await game.delete("g", "k")
    await game.send("g", {"hit": True}, id="e1")
    await game.send("g", "ping")

    assert run.noted == [
        StreamChange("game", "g", "set", "k", values.encode(1)),
        StreamChange("game", "g", "set", "k", values.encode(2)),
        StreamChange("game", "g", "delete", "k", None),
        StreamChange("game", "g", "event", "e1", values.encode({"hit": True})),
        StreamChange("game", "g", "event", None, values.encode("ping")),
    ]


@pytest.mark.parametrize("name", [7, None, "\ud800", "x" * 1025])
async def test_streams_refuse_what_is_no_name(name: Any) -> None:
    """A name or a group that cannot be stored is an error that no retry helps."""
    run = _Run()

    with pytest.raises(NonRetriable, match="stream name"):
        run.streams[name]
    with pytest.raises(NonRetriable, match="stream group"):
        await run.streams["game"].set(name, "k", 1)
    with pytest.raises(NonRetriable, match="stream group"):
        await run.streams["game"].send(name, 1)

    assert run.noted == []


async def test_streams_refuse_a_value_that_cannot_be_stored() -> None:
    """A value that is no data notes nothing."""
    run = _Run()

    with pytest.raises(NonRetriable):
        await run.streams["game"].send("g", object())

    assert run.noted == []


async def test_streams_subscribe_as_an_iterator() -> None:
    """Without a function `subscribe` is an async iterator of changes of all groups."""
    run = _Run()
    changes = run.streams["game"].subscribe()
    assert isinstance(changes, AsyncIterator)

    await run.streams["game"].set("g", "k", 1)
    await run.streams["game"].delete("h", "k")
    run.commit()

    assert await anext(changes) == {"group": "g", "seq": 1, "type": "set", "id": "k", "data": 1}
    assert await anext(changes) == {
        "group": "h", "seq": 1, "type": "delete", "id": "k", "data": None,
    }  # fmt: skip


async def test_streams_subscribe_calls_a_function_until_it_is_ended() -> None:
    """With a function the answer is a plain callable; after it nothing is called any more."""
    run = _Run()
    seen: list[Any] = []
    called = anyio.Event()

    async def fn(change: dict[str, Any]) -> None:
        seen.append(change["data"])
        called.set()

    end = run.streams["game"].subscribe(fn)
    assert isinstance(end, Callable)  # type: ignore[arg-type]  # a protocol at run time
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.hub.run)
        await run.streams["game"].send("g", "first")
        run.commit()
        with anyio.fail_after(5):
            await called.wait()
        end()  # type: ignore[operator]  # it is no iterator, as the line above says
        await run.streams["game"].send("g", "second")
        run.commit()
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()

    assert seen == ["first"]


async def test_streams_of_a_void_run_subscribe_to_nothing() -> None:
    """A run that is repeated leaves no subscription behind."""
    run = _Run()
    changes = run.streams["game"].subscribe()
    assert isinstance(changes, AsyncIterator)

    run.streams.discard()
    await run.streams["game"].send("g", "x")
    run.commit()

    assert [change async for change in changes] == []
