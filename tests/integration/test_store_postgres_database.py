"""The database of a PostgreSQL store: older, newer, absent; what it keeps."""

from pathlib import Path

import anyio
import anyio.from_thread
import asyncpg
import pytest

from tests.support.postgres import sql
from tests.support.stores import (
    KEY,
    STEP,
    claim,
    emit,
    event,
)
from tidegate.errors import Misconfigured
from tidegate.store.open import open_store
from tidegate.store.postgres import migrations
from tidegate.store.postgres.store import open_postgres

pytestmark = pytest.mark.anyio


async def test_postgres_keeps_so_many_dead_letters(postgres_url: str) -> None:
    """Beyond the bound the oldest letters go, also when numbers between them are missing."""
    bury = "SELECT tidegate.bury('', $1, 1, 'step', NULL, '', '', 0, 3)"
    async with open_postgres(postgres_url) as store:
        await emit(store, *(event() for _ in range(6)))
        held = await claim(store)

        async def dropped(place: int) -> int:
            [[count]] = await sql(postgres_url, bury, held[place].id)
            return int(count)

        assert [await dropped(place) for place in range(4)] == [0, 0, 0, 1]
        await store.purge_dead([3])
        assert [await dropped(place) for place in (4, 5)] == [0, 1]
        assert [letter.id for letter in await store.dead(limit=9)] == [4, 5, 6]


async def test_postgres_brings_an_old_database_up_to_date(postgres_url: str) -> None:
    """What the first schema held is there after the migrations, whoever starts first."""
    async with open_postgres(postgres_url):
        pass
    await _downgrade(postgres_url)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(_open_and_close, postgres_url)

    async with open_postgres(postgres_url) as store:
        assert (await store.read(KEY, 0)).data == b"1"
        [held] = await claim(store)
        assert (held.fence, held.attempt, held.payload) == (3, 3, b"x")
        await emit(store, event(known_as="known"))
        assert await store.pending(STEP) == 1


async def _open_and_close(url: str) -> None:
    async with open_postgres(url):
        pass


async def _downgrade(url: str) -> None:
    """Put the database into the shape in which the first version left it."""
    first = min((Path(migrations.__file__).parent / "schema").glob("*.sql"))
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA tidegate CASCADE")
    await connection.execute(first.read_text("utf-8"))
    await connection.execute(
        """
        INSERT INTO tidegate.state VALUES ('group', 'key', '1', 7, NULL);
        INSERT INTO tidegate.delivery (step, topic, payload, due_at, attempt, trace_id)
        VALUES ('step', 'topic', 'x', 0, 2, 'trace');
        INSERT INTO tidegate.emitted VALUES ('topic', 'known', 'a', 1), ('topic', 'known', 'b', 2);
        """
    )
    await connection.close()


async def test_postgres_refuses_a_newer_database(postgres_url: str) -> None:
    """A schema from the future is the operator's to solve: install that version."""
    async with open_postgres(postgres_url):
        pass
    await sql(postgres_url, "INSERT INTO tidegate.migration (number) VALUES (99)")

    with pytest.raises(Misconfigured, match="newer version"):
        await _open_and_close(postgres_url)


async def test_postgres_is_misconfigured_without_its_database(postgres_url: str) -> None:
    """A database that is not there, or a user who may not, is not waited for."""
    for url in (f"{postgres_url}_not", postgres_url.replace("tests@", "nobody:secret@")):
        with pytest.raises(Misconfigured) as caught:
            async with open_store(url):
                pass
        assert "secret" not in str(caught.value)
