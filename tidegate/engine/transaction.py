"""What one invocation has read and means to write; becomes one `Commit`. Pure."""

from typing import Any

from tidegate.contract import StepConfig
from tidegate.engine import values
from tidegate.errors import NonRetriable, UndeclaredEmit
from tidegate.normalise import as_plain, emits
from tidegate.store.port import Claim, Commit, GroupRead, Key, Stored, Write

MAX_DELAY_S = 10 * 365 * 24 * 3600.0


class Emission:
    """One event that leaves with the commit."""

    __slots__ = ("delay_s", "id", "payload", "topic")

    def __init__(self, topic: str, data: Any, *, delay_s: float, id: str | None) -> None:  # noqa: A002
        self.topic = topic
        self.payload = values.encode(as_plain(data))
        self.delay_s = delay_s
        self.id = id


class Transaction:
    """Reads with their versions, buffered writes and emissions."""

    def __init__(self) -> None:
        self.reads: dict[Key, int] = {}
        self.group_reads: list[GroupRead] = []
        self.writes: dict[Key, Write] = {}
        self.emissions: list[Emission] = []

    def note_read(self, key: Key, stored: Stored) -> None:
        """Remember the version that was read; the first read of a key counts."""
        self.reads.setdefault(key, stored.version)

    def note_group_read(
        self, group: str, pattern: str | None, rows: list[tuple[str, Stored]]
    ) -> None:
        """Remember which keys of a group were there, at which versions."""
        versions = tuple((key, stored.version) for key, stored in rows)
        self.group_reads.append(GroupRead(group, pattern, versions))

    def emit(
        self,
        config: StepConfig | None,
        topic: str,
        data: Any,
        *,
        delay_s: float,
        id: str | None,  # noqa: A002
    ) -> None:
        """Buffer an emission.

        Raises:
            UndeclaredEmit: the step's config lists topics, and this is not one of them.
        """
        if config is not None and not emits(config, topic):
            raise UndeclaredEmit(f"step '{config.name}' does not list '{topic}' in emits")
        if not 0 <= delay_s <= MAX_DELAY_S:
            raise NonRetriable(f"delay must be between 0 and {MAX_DELAY_S:.0f} seconds")
        self.emissions.append(Emission(topic, data, delay_s=delay_s, id=id))

    @property
    def is_one_read(self) -> bool:
        """Tell whether nothing is left to check or apply: at most one read, and no change."""
        changes = len(self.writes) + len(self.emissions)
        return not changes and len(self.reads) + len(self.group_reads) <= 1

    def as_commit(self, done: Claim | None) -> Commit:
        """Return the commit, without the deliveries that the engine routes."""
        return Commit(reads=self.reads, group_reads=self.group_reads, writes=self.writes, done=done)
