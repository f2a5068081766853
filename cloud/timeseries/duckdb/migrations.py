"""Bring a file's schema up to date: numbered scripts, each run once, in order."""

from importlib import resources

from cloud.timeseries.duckdb.transactions import Connection, transaction
from tidegate.errors import Misconfigured

_SCHEMA = resources.files("cloud.timeseries.duckdb") / "schema"
# What every file of ours has had from the beginning.
_OURS = {
    ("series", "id"),
    ("series", "tenant"),
    ("series", "device"),
    ("series", "metric"),
    ("points", "series_id"),
    ("points", "ts_ms"),
    ("points", "value"),
    ("states", "series_id"),
    ("states", "ts_ms"),
    ("states", "state"),
}
_COLUMNS = """
SELECT table_name, column_name FROM duckdb_columns()
WHERE NOT internal AND database_name = current_database()
"""


def migrate(connection: Connection) -> None:
    """Run the scripts that this file has not seen; each is applied whole or not at all.

    Raises:
        Misconfigured: a newer version wrote the file, or it is a database of something else.
    """
    scripts = sorted(one.name for one in _SCHEMA.iterdir() if one.name.endswith(".sql"))
    seen = _version_of(connection)
    if seen > len(scripts):
        raise Misconfigured(
            f"was written by a newer version of Tidegate (schema {seen}, this one knows"
            f" {len(scripts)}): install that version again"
        )
    for number, name in enumerate(scripts[seen:], start=seen + 1):
        with transaction(connection):
            connection.execute((_SCHEMA / name).read_text("utf-8"))
            connection.execute("CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)")
            connection.execute("DELETE FROM version")
            connection.execute("INSERT INTO version VALUES (?)", [number])


def _version_of(connection: Connection) -> int:
    """Return how many scripts a file has seen: none of an empty one, nor of the first versions."""
    columns = set(connection.execute(_COLUMNS).fetchall())
    if columns and not columns >= _OURS:
        raise Misconfigured(
            "is a DuckDB database of something else (nothing in it was changed): name another"
            " file in timeseries.url"
        )
    if ("version", "number") not in columns:
        return 0
    row = connection.execute("SELECT number FROM version").fetchone()
    return 0 if row is None else int(row[0])
