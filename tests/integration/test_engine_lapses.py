"""Lapsed values that cannot be told stop nobody: neither the others nor the process."""

from pathlib import Path

import pytest

from tests.support.steps import running_engine, until
from tidegate.engine import values
from tidegate.errors import NonRetriable
from tidegate.store.model import Commit, Key, Write

pytestmark = pytest.mark.anyio

_LARGEST = "x" * (values.MAX_VALUE_BYTES - 10)


async def test_lapses_refuse_what_could_not_be_told(tmp_path: Path) -> None:
    """A value whose event would be too large, or has no topic, is refused where it is set."""
    async with running_engine(tmp_path, {}) as engine:
        with pytest.raises(NonRetriable, match="larger"):
            await engine.transact(
                lambda ctx: ctx.state.set("g", "k", _LARGEST, ttl=1, on_expire="lapsed")
            )
        with pytest.raises(NonRetriable, match="topic"):
            await engine.transact(
                lambda ctx: ctx.state.set("g", "k", 1, ttl=1, on_expire=5)  # type: ignore[arg-type]
            )


async def test_lapses_go_on_after_one_that_cannot_be_told(tmp_path: Path) -> None:
    """A value that makes no event, kept by an earlier version, is given up; the next is told."""
    told: list[str] = []
    async with running_engine(tmp_path, {}) as engine:
        engine.on_emitted(lambda topic, _data: told.append(topic))
        lapsing = {
            Key("g", "large"): Write(values.encode(_LARGEST), 1, "never"),
            Key("g", "small"): Write(values.encode(1), 2, "lapsed"),
        }
        await engine.store.commit(Commit(now_ms=0, writes=lapsing))
        await until(lambda: told == ["lapsed"])

        async def all_are_gone() -> bool:
            return await engine.store.lapsed(limit=9, now_ms=engine.now_ms()) == []

        await until(all_are_gone)
