"""Transactions of a DuckDB connection, and its errors told as the port's."""

import contextlib
from collections.abc import Iterator

import duckdb

from cloud.timeseries.port import PointsRejected, StoreAway

Connection = duckdb.DuckDBPyConnection


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit at the end; whatever happens before, nothing is changed."""
    with contextlib.ExitStack() as undo:
        undo.callback(_roll_back, connection)
        connection.begin()
        yield
        connection.commit()
        undo.pop_all()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Tell DuckDB's errors as those of the port."""
    try:
        yield
    except (duckdb.DataError, duckdb.IntegrityError) as exc:
        raise PointsRejected(f"DuckDB refuses the points: {exc}") from exc
    except duckdb.Error as exc:
        raise StoreAway(f"DuckDB does not answer: {exc}") from exc


@contextlib.contextmanager
def translated_as_away() -> Iterator[None]:
    """Tell all of DuckDB's errors but conflicts as `StoreAway`."""
    try:
        yield
    except duckdb.TransactionException:
        raise
    except duckdb.Error as exc:
        raise StoreAway(f"DuckDB does not answer: {exc}") from exc


def _roll_back(connection: Connection) -> None:
    # After some errors there is nothing left to roll back.
    with contextlib.suppress(duckdb.Error):
        connection.rollback()
