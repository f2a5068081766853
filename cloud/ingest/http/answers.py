"""What those are answered who bring readings: a payload, or dead letters once more. Pure."""

import msgspec

from wire.messages import Refusal


class Accepted(msgspec.Struct, frozen=True):
    """How many readings have their place in the store, and which were refused, and why."""

    accepted: int
    rejected: list[Refusal]


class Replayed(msgspec.Struct, frozen=True):
    """Letters that were taken, and how many of their readings are stored now.

    `refused` letters, or some of their readings, were refused again: they are new letters.
    `skipped` ones were gone or under way by somebody else, `left` ones were not tried.
    `next_cursor` is null when nothing is left of what was asked for; `stopped` says why it ended
    early.
    """

    letters: int
    accepted: int
    refused: int
    skipped: int
    left: int
    next_cursor: str | None
    stopped: str | None = None
