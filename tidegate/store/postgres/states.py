"""Values, what lapses, and streams as their clients read them."""

from collections.abc import Sequence

from tidegate.store.bounds import KEEP_CHANGES_MS, REMEMBER_EMITTED_MS
from tidegate.store.glob import glob_to_regex
from tidegate.store.model import (
    ABSENT,
    Commit,
    Committed,
    Frame,
    Key,
    Lapsed,
    Stored,
    StreamChange,
    StreamSnapshot,
    stream_group,
)
from tidegate.store.postgres.connections import Pool
from tidegate.store.postgres.reading import Reader
from tidegate.store.postgres.writing import Writer

_PORTION = 5_000


class PostgresStates:
    """See `tidegate.store.port.States`, `Lapses` and `StreamLog`."""

    pool: Pool
    reader: Reader
    writer: Writer

    async def read(self, key: Key, now_ms: int) -> Stored:
        """Read one value."""
        row = await self.reader.gathering.ask(key)
        return _stored(row, now_ms) if row else Stored(None, ABSENT)

    async def read_group(
        self, group: str, pattern: str | None, now_ms: int
    ) -> list[tuple[str, Stored]]:
        """Read a group's values in order of their keys."""
        if pattern is None:
            rows = await self.pool.fetch("read_group", group)
        else:
            rows = await self.pool.fetch("read_pattern", group, glob_to_regex(pattern))
        return [(key, _stored((data, version, at), now_ms)) for key, data, version, at in rows]

    async def commit(self, commit: Commit) -> Committed:
        """Apply a commit; durable on return. What is cancelled may still be applied."""
        if commit.only_reads:
            await self.reader.gathering.ask(commit)
            return Committed()
        return await self.writer.gathering.ask(commit)

    async def groups(self, *, limit: int, after: str = "") -> list[tuple[str, int]]:
        """Return names of groups, in order, with how many keys each holds."""
        return [(name, count) for name, count in await self.pool.fetch("groups", after, limit)]

    async def keys(self, group: str, *, limit: int, now_ms: int, after: str = "") -> list[str]:
        """Return the keys of a group, in order."""
        return [key for (key,) in await self.pool.fetch("keys", group, after, now_ms, limit)]

    async def purge(self, now_ms: int) -> int:
        """Delete what is too old; returns how many values."""
        await self._delete_all("forget_emitted", now_ms - REMEMBER_EMITTED_MS)
        await self._delete_all("forget_changes", now_ms - KEEP_CHANGES_MS)
        return await self._delete_all("purge_lapsed", now_ms)

    async def lapsed(self, *, limit: int, now_ms: int) -> list[Lapsed]:
        """Return lapsed values whose event is not emitted yet."""
        await self.pool.execute("keep_lapsed", now_ms, limit)
        rows = await self.pool.fetch("lapsed", limit)
        return [
            Lapsed(number, Key(group, key), data, topic) for number, group, key, data, topic in rows
        ]

    async def next_lapse_ms(self) -> int | None:
        """Return when the next value with `on_expire` lapses."""
        due: int | None = await self.pool.value("next_lapse")
        return due

    async def snapshot(self, name: str, group: str) -> StreamSnapshot:
        """Return a group of a stream as of one moment."""
        rows = await self.pool.fetch("snapshot", name, group, stream_group(name, group))
        return StreamSnapshot(rows[0][0], [(key, data) for _, key, data in rows if key is not None])

    async def changes(self, name: str, group: str, *, after: int, limit: int) -> list[Frame] | None:
        """Return the changes after a number; None when they are not kept so far."""
        rows = await self.pool.fetch("changes", name, group, after, limit)
        head, oldest = rows[0][:2]
        if not (oldest or head + 1) - 1 <= after <= head:
            return None
        return [
            Frame(seq, StreamChange(name, group, kind, place, data))
            for _, _, seq, kind, place, data in rows
            if seq is not None
        ]

    async def heads(self, streams: Sequence[tuple[str, str]]) -> list[int]:
        """Return the number of the last change of each (name, group)."""
        names, groups = [name for name, _ in streams], [group for _, group in streams]
        return [head for (head,) in await self.pool.fetch("heads", names, groups)]

    async def _delete_all(self, name: str, until_ms: int) -> int:
        """Delete in portions, each of which fits into a command's time; returns how many rows."""
        total = deleted = await self.pool.execute(name, until_ms, _PORTION)
        while deleted == _PORTION:
            deleted = await self.pool.execute(name, until_ms, _PORTION)
            total += deleted
        return total


def _stored(row: tuple[bytes | None, int, int | None], now_ms: int) -> Stored:
    data, version, expires_at = row
    lapsed = expires_at is not None and expires_at <= now_ms
    return Stored(None if lapsed else data, version)
