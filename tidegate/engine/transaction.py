"""What one invocation has read and means to write; becomes one `Commit`. Pure."""

from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from tidegate.contract import StepConfig
from tidegate.definition.topics import emits
from tidegate.engine import values
from tidegate.engine.plain import as_plain
from tidegate.engine.pointers import bounded
from tidegate.errors import NonRetriable, UndeclaredEmit
from tidegate.store.model import GroupRead, Key, Stored, StreamChange, Write

MAX_DELAY_S = 10 * 365 * 24 * 3600.0


class Emission(NamedTuple):
    """One event that leaves with the commit; `due_at_ms` None is at once."""

    topic: str
    data: Any
    payload: bytes
    due_at_ms: int | None
    key: str | None
    id: str | None


def _refuse(*_given: object) -> NoReturn:
    raise RuntimeError(
        "this invocation has committed already; what is written or emitted now would be lost: "
        "do it before the handler returns, or emit an event then, and write in its step"
    )


class _NoWrites(dict[Key, Write]):
    __setitem__ = _refuse


class _NoMore(list[Any]):
    append = _refuse


_NO_WRITES, _NO_MORE = _NoWrites(), _NoMore()


class Transaction:
    """Reads with their versions, buffered writes, emissions and changes of streams."""

    __slots__ = ("changes", "emissions", "group_reads", "reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[Key, int] = {}
        self.group_reads: list[GroupRead] = []
        self.writes: dict[Key, Write] = {}
        self.emissions: list[Emission] = []
        self.changes: list[StreamChange] = []

    def close(self) -> None:
        """End the invocation: who still holds its context gets an error for each change.

        The open transaction has nothing to check for that: what it collects in is exchanged.
        """
        self.writes, self.emissions, self.changes = _NO_WRITES, _NO_MORE, _NO_MORE

    def note_change(self, change: StreamChange) -> None:
        """Remember a change of a stream."""
        self.changes.append(change)

    def note_read(self, key: Key, stored: Stored) -> None:
        """Remember the version that was read; the first read of a key counts."""
        self.reads.setdefault(key, stored.version)

    def note_group_read(
        self, group: str, pattern: str | None, rows: list[tuple[str, Stored]]
    ) -> None:
        """Remember which keys of a group were there, at which versions."""
        versions = tuple((key, stored.version) for key, stored in rows)
        self.group_reads.append(GroupRead(group, pattern, versions))

    def forget_changes(self) -> None:
        """Drop what an earlier run has committed already, up to the same durable wait."""
        self.writes.clear()
        self.emissions.clear()
        self.changes.clear()

    @property
    def is_one_read(self) -> bool:
        """Tell whether nothing is left to check or apply: at most one read, and no change."""
        if self.writes or self.emissions or self.changes:
            return False
        return len(self.reads) + len(self.group_reads) <= 1


def emission(
    config: StepConfig | None,
    topic: str,
    data: Any,
    *,
    due_at_ms: int | None = None,
    key: str | None = None,
    id: str | None = None,  # noqa: A002 - the contract's word
) -> Emission:
    """Return an emission.

    Raises:
        UndeclaredEmit: the step's config lists topics, and this is not one of them.
        NonRetriable: topic, key or id is no text, or the data cannot be kept.
    """
    for what, text in (("topic", topic), ("key", key), ("id", id)):
        if text is not None and not isinstance(text, str):
            raise NonRetriable(f"an emitted {what} must be a text, not {type(text).__name__}")
    check_emits(config, topic)
    try:
        plain = as_plain(data)
    except (TypeError, RecursionError) as exc:
        raise NonRetriable(f"what is emitted on '{topic}' cannot be stored: {exc}") from exc
    lane = None if key is None else bounded(key)
    return Emission(topic, plain, values.encode(plain), due_at_ms, lane, id)


_EMIT_KEYS = ("topic", "data", "delay", "at", "key", "id")


def as_emit(event: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that the seed's form `emit({"topic", "data", …})` stands for.

    Raises:
        NonRetriable: it has no topic, or a key that is none.
    """
    arguments = {"key" if name == "messageGroupId" else name: event[name] for name in event}
    unknown = [name for name in arguments if name not in _EMIT_KEYS]
    if unknown or "topic" not in arguments:
        given = ", ".join(map(str, event))
        raise NonRetriable(f"emit({{…}}) takes topic, data, delay, at, key, id; not: {given}")
    return arguments


def check_emits(config: StepConfig | None, topic: str) -> None:
    """Raise `UndeclaredEmit` when the step's config lists topics, and this is not one of them."""
    if config is not None and not emits(config, topic):
        raise UndeclaredEmit(f"step '{config.name}' does not list '{topic}' in emits")


def due_at_ms(now_ms: int, delay: float | None, at: datetime | None) -> int | None:
    """Return when an emission is due, None for at once.

    Raises:
        NonRetriable: both are given, the delay is below 0 or beyond ten years, or the time has
            no time zone.
    """
    if at is None:
        delay_s = delay or 0.0
    elif delay is not None:
        raise NonRetriable("emit takes delay= or at=, not both")
    elif at.tzinfo is None:
        raise NonRetriable("at= must have a time zone: datetime(..., tzinfo=UTC)")
    else:
        delay_s = max(0.0, at.timestamp() - now_ms / 1000)
    if not 0 <= delay_s <= MAX_DELAY_S:
        raise NonRetriable(f"delay must be between 0 and {MAX_DELAY_S:.0f} seconds")
    return now_ms + round(delay_s * 1000) if delay_s else None
