"""Open the store that a URL names."""

from contextlib import AbstractAsyncContextManager
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
    if url.startswith(_POSTGRES):
        return _postgres(url)
    file = url.removeprefix(_SQLITE)
    if file in (url, "", ":memory:"):
        scheme = url.partition(":")[0] if ":" in url else "none"
        raise Misconfigured(
            "the store's URL must be sqlite:///FILE, sqlite:////FOLDER/FILE or"
            f" postgresql://USER:PASSWORD@HOST:PORT/DATABASE; this one's scheme is {scheme}"
            f"{' and it names no file' if scheme == 'sqlite' else ''}"
        )
    return open_sqlite(Path(file))


def _postgres(url: str) -> AbstractAsyncContextManager[Store]:
    try:
        # The client library is an extra: who stays with SQLite does not need it.
        from tidegate.store.postgres import open_postgres  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise Misconfigured(
            f"{exc.name} is not installed: pip install 'tidegate[postgres]'"
        ) from exc
    return open_postgres(url)
