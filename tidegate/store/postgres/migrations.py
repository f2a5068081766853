"""Bring the schema up to date: numbered scripts, each run once, in order, one process at a time."""

from pathlib import Path
from typing import Any

from tidegate.errors import Misconfigured

_SCRIPTS = Path(__file__).parent / "schema"
# No other lock is a number as short as this one.
_LOCK = 1_953_064_037
_BEGIN = """
CREATE SCHEMA IF NOT EXISTS tidegate;
CREATE TABLE IF NOT EXISTS tidegate.migration (
    number integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()
);
"""


async def migrate(connection: Any) -> None:
    """Run the scripts that this database has not seen; all of them are applied or none.

    Raises:
        Misconfigured: the database holds no Unicode, or was written by a newer version.
    """
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise Misconfigured(f"the database's encoding must be UTF8, but it is {encoding}")
    scripts = _scripts()
    if await seen_by(connection) == len(scripts):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_BEGIN)
        seen = await seen_by(connection)
        if seen > len(scripts):
            raise Misconfigured(
                f"state store: written by a newer version (schema {seen}); install that one"
            )
        for number, script in enumerate(scripts[seen:], start=seen + 1):
            await connection.execute(script.read_text("utf-8"))
            await connection.execute("INSERT INTO tidegate.migration (number) VALUES ($1)", number)


async def seen_by(connection: Any) -> int:
    """Return how many scripts a database has seen."""
    if await connection.fetchval("SELECT to_regclass('tidegate.migration')") is None:
        return 0
    return int(await connection.fetchval("SELECT count(*) FROM tidegate.migration"))


def newest() -> int:
    """Return how many scripts there are."""
    return len(_scripts())


def _scripts() -> list[Path]:
    return sorted(_SCRIPTS.glob("*.sql"))
