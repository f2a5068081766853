"""What an error of the client library means: who acts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from tidegate.errors import Misconfigured, NonRetriable, StoreAway

# Classes of SQLSTATE: what was to be stored is at fault, and trying again cannot help.
_IMPOSSIBLE = ("22", "23", "54")
# The same for a start: password, database, right.
_OPERATORS = ("28", "3D", "42")
# Serialization failure and deadlock: the database has chosen one to try again.
_AGAIN = ("40",)


class TryAgain(StoreAway):
    """The database has taken the transaction back for another's sake; nothing was applied."""


def translated(exc: Exception) -> Exception:
    """Return what the caller is told: whether the store is away, or he asks for the impossible."""
    if isinstance(exc, asyncpg.PostgresError):
        sqlstate = str(exc.sqlstate)
        impossible = sqlstate.startswith(_IMPOSSIBLE)
        if sqlstate.startswith(_AGAIN):
            return TryAgain(f"state store: {exc}")
    else:
        # What the client cannot encode is an InterfaceError, too.
        impossible = isinstance(exc, ValueError)
    if impossible:
        return NonRetriable(f"cannot be stored: {exc}")
    return StoreAway(f"state store: {exc or type(exc).__name__}")


def translated_for_operators(exc: Exception) -> Exception:
    """Return what a start is told: what the operator must correct, or that the store is away."""
    sqlstate = str(exc.sqlstate) if isinstance(exc, asyncpg.PostgresError) else ""
    if sqlstate.startswith(_OPERATORS) or isinstance(exc, ValueError):
        return Misconfigured(f"state store: {exc}")
    return translated(exc)


@contextmanager
def translating(translate: Callable[[Exception], Exception] = translated) -> Iterator[None]:
    """Turn the client library's errors into the runtime's."""
    try:
        yield
    except (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as exc:
        raise translate(exc) from exc
