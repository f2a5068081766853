"""The DuckDB file: opened, closed, in transactions, with its errors told as the port's.

Each commit is synced to the write-ahead log before it returns. DuckDB folds the log into the file
when it has grown to 64 MiB and when the file is closed; after a crash the next start replays it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb.migrations import migrate
from cloud.timeseries.duckdb.transactions import (
    Connection,
    transaction,
    translated,
    translated_as_away,
)
from cloud.timeseries.port import StoreAway
from tidegate.errors import Misconfigured

CHECKPOINT_AT = "64MiB"


class File:
    """One file with one writing connection; cursors of it read."""

    def __init__(self, path: Path, settings: TimeSeriesStore) -> None:
        self.is_broken = False
        self._path = path
        self._settings = settings
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The writing connection; raises `StoreAway` when the file is not open."""
        if self._connection is None:
            raise StoreAway("the DuckDB file is not open")
        return self._connection

    def open(self) -> None:
        """Open the file and bring its schema up to date; raise `Misconfigured`."""
        connection: Connection | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(str(self._path))
            self._bound(connection)
            migrate(connection)
        except (duckdb.Error, OSError) as exc:
            _close(connection)
            raise Misconfigured(_opening_fault(self._path, exc)) from exc
        except Misconfigured as exc:
            _close(connection)
            raise Misconfigured(f"{self._path} {exc}") from exc
        self._connection = connection
        self.is_broken = False

    def close(self) -> None:
        """Fold the log into the file and close it."""
        _close(self._connection)
        self._connection = None

    def cursor(self) -> Connection:
        """Return a connection of its own for one reader."""
        return self.connection.cursor()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give the writing connection; commit at the end, or change nothing."""
        connection = self.connection
        try:
            with translated(), transaction(connection):
                yield connection
        except StoreAway as exc:
            self.is_broken = isinstance(
                exc.__cause__, duckdb.FatalException | duckdb.InternalException
            )
            raise

    def checkpoint(self) -> None:
        """Fold the log into the file, so that what was deleted gives its space back.

        While somebody reads or writes it may not be possible: then the next one does it.
        """
        with contextlib.suppress(duckdb.TransactionException), translated_as_away():
            self.connection.execute("CHECKPOINT")

    def _bound(self, connection: Connection) -> None:
        connection.execute(f"SET checkpoint_threshold = '{CHECKPOINT_AT}'")
        connection.execute(f"SET memory_limit = '{self._settings.memory_mb}MiB'")
        if self._settings.threads is not None:
            connection.execute(f"SET threads = {self._settings.threads}")


def _close(connection: Connection | None) -> None:
    if connection is not None:
        connection.close()


def _opening_fault(path: Path, exc: Exception) -> str:
    if "set lock on file" in str(exc):
        return (
            f"{path} is in use by another process: stop that one, or choose another --data folder"
        )
    if isinstance(exc, OSError | duckdb.PermissionException):
        return f"{path} cannot be opened as a telemetry store: {exc}"
    return (
        f"{path} cannot be opened as a telemetry store: {exc}. If it is damaged, move it and"
        f" {path.name}.wal away (keep both) and start again with a backup or without: a file"
        " that is missing is made anew"
    )
