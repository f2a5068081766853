"""Open the store that a URL names."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from tidegate.errors import Misconfigured
from tidegate.store.port import Store
from tidegate.store.sqlite.store import open_sqlite

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(url: str) -> AbstractAsyncContextManager[Store]:
    """Return the store of a URL, to be entered.

    `sqlite:///FILE` is a file in the current folder, `sqlite:////FOLDER/FILE` one by its whole
    path; `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` a database, which is waited for.

    Raises:
        Misconfigured: the URL names no store; entering it: the store cannot be opened.
    """
    return _postgres(url) if is_postgres(url) else open_sqlite(file_of(url))


def is_postgres(url: str) -> bool:
    """Tell whether a URL names a database of PostgreSQL."""
    return url.startswith(_POSTGRES)


def file_of(url: str) -> Path:
    """Return the file that a URL of SQLite names; raise `Misconfigured` when it names none."""
    file = url.removeprefix(_SQLITE)
    if file in (url, "", ":memory:"):
        scheme = url.partition(":")[0] if ":" in url else "none"
        raise Misconfigured(
            "the store's URL must be sqlite:///FILE, sqlite:////FOLDER/FILE or"
            f" postgresql://USER:PASSWORD@HOST:PORT/DATABASE; this one's scheme is {scheme}"
            f"{' and it names no file' if scheme == 'sqlite' else ''}"
        )
    return Path(file)


def _postgres(url: str) -> AbstractAsyncContextManager[Store]:
    with needing_asyncpg():
        # The client library is an extra: who stays with SQLite does not need it.
        from tidegate.store.postgres.store import open_postgres  # noqa: PLC0415
    return open_postgres(url)


@contextmanager
def needing_asyncpg() -> Iterator[None]:
    """Import what needs the client library of PostgreSQL; say so when it is not there."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise Misconfigured(
            f"{exc.name} is not installed: pip install 'tidegate[postgres]'"
        ) from exc
