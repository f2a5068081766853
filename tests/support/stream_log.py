"""A log of streams in memory, and what tests of streams write with."""

from collections.abc import Callable, Sequence
from typing import Literal

from tidegate.store.model import Frame, StreamChange, StreamSnapshot
from tidegate.streams.hub import Hub

Kind = Literal["set", "delete", "event"]


def change(
    key: str | None = "k",
    data: bytes | None = b"v",
    *,
    kind: Kind = "set",
    name: str = "game",
    group: str = "g",
) -> StreamChange:
    """Return a change of a stream."""
    return StreamChange(name, group, kind, key, data)


class MemoryLog:
    """A `StreamLog`: keeps the last `keep` changes of each group.

    `meanwhile` is called twice in every read, before and after the data is taken: what the rest
    of the world does at that moment.
    """

    def __init__(self, keep: int = 1_000_000) -> None:
        self.keep = keep
        self.reads = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.withholds = False
        self.error: Exception | None = None
        self._changes: dict[tuple[str, str], list[Frame]] = {}
        self._heads: dict[tuple[str, str], int] = {}
        self._values: dict[tuple[str, str], dict[str, bytes]] = {}

    def commit(self, *changes: StreamChange) -> list[Frame]:
        """Number changes and keep them; returns the frames to publish."""
        return [self._append(each) for each in changes]

    def head(self, name: str = "game", group: str = "g") -> int:
        """Return the number of the last change."""
        return self._heads.get((name, group), 0)

    def values(self, name: str = "game", group: str = "g") -> dict[str, bytes]:
        """Return the values as they are now."""
        return dict(self._values.get((name, group), {}))

    def forget(self) -> None:
        """Lose everything, as a database that is put back to an older copy."""
        for kept in (self._changes, self._heads, self._values):
            kept.clear()

    async def snapshot(self, name: str, group: str) -> StreamSnapshot:
        """See `StreamLog`."""
        self._read()
        taken = StreamSnapshot(self.head(name, group), sorted(self.values(name, group).items()))
        self.meanwhile()
        return taken

    async def changes(self, name: str, group: str, *, after: int, limit: int) -> list[Frame] | None:
        """See `StreamLog`."""
        self._read()
        kept = self._changes.get((name, group), [])
        first = kept[0].seq if kept else self.head(name, group) + 1
        taken = [frame for frame in kept if frame.seq > after][:limit]
        self.meanwhile()
        return None if after < first - 1 and not self.withholds else taken

    async def heads(self, streams: Sequence[tuple[str, str]]) -> list[int]:
        """See `StreamLog`."""
        self._read()
        taken = [self.head(*place) for place in streams]
        self.meanwhile()
        return taken

    def _read(self) -> None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        self.meanwhile()

    def _append(self, change: StreamChange) -> Frame:
        place = (change.name, change.group)
        self._heads[place] = self._heads.get(place, 0) + 1
        values = self._values.setdefault(place, {})
        if change.kind == "set":
            values[str(change.id)] = change.data or b""
        elif change.kind == "delete":
            values.pop(str(change.id), None)
        frame = Frame(self._heads[place], change)
        kept = self._changes.setdefault(place, [])
        kept.append(frame)
        del kept[: max(0, len(kept) - self.keep)]
        return frame


def write(log: MemoryLog, hub: Hub, count: int) -> list[Frame]:
    """Commit so many changes and tell the hub; return them."""
    frames = log.commit(*(change(f"k{n}") for n in range(count)))
    hub.publish(frames)
    return frames
