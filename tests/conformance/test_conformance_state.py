"""State: what round-trips, what a group is, and what is too large."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.steps import running_engine
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.errors import NonRetriable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(tmp_path: Path, store_url: str) -> AsyncIterator[Engine]:
    """Return an engine without steps on each store."""
    async with running_engine(tmp_path, {}, url=store_url) as engine:
        yield engine


@pytest.mark.parametrize(
    "value",
    [
        0, False, "", None, 0.0, [], {}, Decimal("0.10"), Decimal("1E+400"),
        datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC), date(2026, 2, 28), b"\x00\xff",
        {"deep": [{"sum": Decimal("12.30"), "at": datetime(2026, 1, 1, tzinfo=UTC)}]}, 2**63 - 1,
    ],
)  # fmt: skip
async def test_conformance_4_values_round_trip(engine: Engine, value: Any) -> None:
    """Falsy values, Decimal and datetimes are read back as what they were."""

    async def keep(ctx: Context) -> None:
        await ctx.state.set("values", "v", value)

    await engine.transact(keep)
    read = await engine.transact(lambda ctx: ctx.state.get("values", "v"))
    group = await engine.transact(lambda ctx: ctx.state.get_group("values"))

    assert (read, type(read)) == (value, type(value))
    assert group == [value]


async def test_conformance_5_a_group_is_not_a_prefix(engine: Engine) -> None:
    """Group `user` never returns what is in `users` or `user:1`."""

    async def keep(ctx: Context) -> None:
        for group in ("user", "users", "user:1", "user*", "USER"):
            await ctx.state.set(group, "k", group)

    await engine.transact(keep)

    assert await engine.transact(lambda ctx: ctx.state.get_group("user")) == ["user"]
    assert await engine.transact(lambda ctx: ctx.state.get_pattern("user", "*")) == ["user"]


async def test_conformance_20_what_is_too_large_is_refused(engine: Engine) -> None:
    """State and events beyond 16 MiB are refused with an error that says the limit."""
    large = b"x" * (16 * 1024 * 1024 + 1)

    async def keep(ctx: Context) -> None:
        await ctx.state.set("large", "k", large)

    with pytest.raises(NonRetriable, match="larger than 16777216 bytes"):
        await engine.transact(keep)
    with pytest.raises(NonRetriable, match="larger than 16777216 bytes"):
        await engine.emit("large", large)
    assert await engine.transact(lambda ctx: ctx.state.get("large", "k")) is None
