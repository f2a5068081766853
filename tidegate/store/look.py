"""Look into a store without opening it for work: nothing is migrated, nothing is made."""

from tidegate.store.model import StoreLook
from tidegate.store.open import file_of, is_postgres, needing_asyncpg
from tidegate.store.sqlite.look import look_into_sqlite


async def look_into(url: str) -> StoreLook | None:
    """Return what a store holds, None when there is none yet; see `open_store` for URLs.

    Raises:
        Misconfigured: the URL names no store.
        StoreAway: it does not answer, or is no store of ours.
    """
    if not is_postgres(url):
        return look_into_sqlite(file_of(url))
    with needing_asyncpg():
        # The client library is an extra: who stays with SQLite does not need it.
        from tidegate.store.postgres.look import look_into_postgres  # noqa: PLC0415
    return await look_into_postgres(url)
