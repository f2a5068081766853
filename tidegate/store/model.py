"""What passes through the port of the state and event store."""

from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

ABSENT = 0
MAX_DEAD_ID = 2**63 - 1

WAITS = "tidegate.waits"
"""The step that the store itself delivers to: every event of a topic that somebody waits for."""


class Key(NamedTuple):
    """One value's place in the state."""

    group: str
    key: str


class Stored(NamedTuple):
    """A value as read: its bytes (None when absent or lapsed) and its version."""

    data: bytes | None
    version: int


class GroupRead(NamedTuple):
    """A read of many keys: which of them were there, at which versions."""

    group: str
    pattern: str | None
    versions: tuple[tuple[str, int], ...]


class Write(NamedTuple):
    """A buffered write; `data` None deletes; `expires_at_ms` None keeps for good.

    What lapses with `on_expire` is kept apart, to be emitted on that topic.
    """

    data: bytes | None
    expires_at_ms: int | None = None
    on_expire: str | None = None


class Address(NamedTuple):
    """Where an event goes: one step, and the lane in it whose events are handled in order.

    With `lease_until_ms` the sender wants to handle it itself at once, as if it had claimed it; a
    store leases all that a commit asks for, or nothing, and then they are to be claimed.
    """

    step: str
    due_at_ms: int
    lane: str | None = None
    lease_until_ms: int | None = None


class Event(NamedTuple):
    """An event and its addresses; none is fine. An `id` seen before on the topic drops it."""

    topic: str
    payload: bytes
    trace_id: str
    to: tuple[Address, ...] = ()
    id: str | None = None


class StreamChange(NamedTuple):
    """What the clients of one group of a stream are told; numbered by the commit."""

    name: str
    group: str
    kind: Literal["set", "delete", "event"]
    id: str | None
    data: bytes | None


class Frame(NamedTuple):
    """A change of a group of a stream with its number, from 1 without a gap."""

    seq: int
    change: StreamChange


class Claim(NamedTuple):
    """The right to end a delivery: void as soon as it was claimed anew (`fence` counts claims)."""

    delivery_id: int
    fence: int
    step: str
    lane: str | None = None


class Waiter(NamedTuple):
    """A suspended delivery that waits for an event; its answer is journaled under `name`."""

    delivery_id: int
    name: str
    topic: str
    match: bytes


class Suspension(NamedTuple):
    """Gives a delivery back until a time, without counting the attempt.

    `journal` is recorded with it. With a waiter an event that answers it makes it due at once.
    """

    claim: Claim
    due_at_ms: int
    journal: dict[str, bytes]
    waiter: Waiter | None = None


class Commit(msgspec.Struct):
    """Everything that one invocation changes: applied as a whole or not at all.

    `done` are the deliveries that it ends, `suspension` is the one that it gives back; `lapsed`
    are lapsed values whose event it emits.
    """

    now_ms: int
    reads: dict[Key, int] = {}
    group_reads: list[GroupRead] = []
    writes: dict[Key, Write] = {}
    events: list[Event] = []
    changes: list[StreamChange] = []
    done: tuple[Claim, ...] = ()
    suspension: Suspension | None = None
    lapsed: tuple[int, ...] = ()

    @property
    def only_reads(self) -> bool:
        """Tell whether it changes nothing and is only to be checked."""
        changes = self.writes or self.events or self.changes or self.done or self.lapsed
        return not (changes or self.suspension)


class Delivery(NamedTuple):
    """A claimed event. `attempt` counts from 1; `journal` holds what its runs have recorded."""

    id: int
    fence: int
    step: str
    topic: str
    payload: bytes
    attempt: int
    trace_id: str
    lane: str | None
    journal: dict[str, bytes]

    @property
    def claim(self) -> Claim:
        """The right to end it."""
        return Claim(self.id, self.fence, self.step, self.lane)


class Committed(NamedTuple):
    """What a commit has made: deliveries leased to the sender, numbers of its stream changes.

    `awaited` tells that somebody may wait for one of its events: there are deliveries to `WAITS`.
    """

    leased: Sequence[Delivery] = ()
    seqs: Sequence[int] = ()
    awaited: bool = True


class Lapsed(NamedTuple):
    """A value whose time is over, and the topic to tell it on."""

    id: int
    key: Key
    data: bytes
    topic: str


class StreamSnapshot(NamedTuple):
    """All values of a group of a stream, and the number of the last change that they hold."""

    seq: int
    values: list[tuple[str, bytes]]


class StoreLook(NamedTuple):
    """What a store is seen to hold: its schema, the newest one that we know, events by step."""

    schema: int
    newest: int
    waiting: list[tuple[str, int]]
    dead: list[tuple[str, int]]


class DeadLetter(NamedTuple):
    """An event that was given up."""

    id: int
    step: str
    topic: str
    payload: bytes
    error: str
    stack: str
    attempts: int
    died_at_ms: int


class DeadSummary(NamedTuple):
    """A dead letter as a list shows it: a long payload is None, long texts are cut.

    Of the error the beginning is kept, of the stack the end.
    """

    id: int
    step: str
    topic: str
    payload: bytes | None
    size_bytes: int
    error: str
    stack: str
    attempts: int
    died_at_ms: int


def stream_group(name: str, group: str) -> str:
    """Return the group of the state that holds the values of a group of a stream."""
    return f"tidegate.streams/{quote(name, safe='')}/{quote(group, safe='')}"
