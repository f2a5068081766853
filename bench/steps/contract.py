"""What each contender is, so that all of them do the same work under the same load.

A chain is two durable steps. The first reads the JSON state of its key, writes it counted up by
one and emits; the second is started by that event, reads and counts up a state of its own, and
its event is acknowledged. After n chains the counts sum up to 2n: what is lost or done twice
shows.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

KEYS = 1_000
IN_FLIGHT = 64
"""How many chains are under way at a time: as many as the producer lets be."""

Handled = Callable[[int], None]
"""To be called, on the event loop, when the last step of a chain has run; twice does no harm."""


class First(StrEnum):
    """Where an event from outside enters: at the chain's head, or at its second step alone.

    `COMMITTED` is for ours only: a single step whose event counts as handled once it is committed.
    """

    CHAIN = "chain"
    SECOND = "second"
    COMMITTED = "committed"


class Where(NamedTuple):
    """What a contender may use: a folder on a disk and the URL of its server.

    `url` is `sqlite` for a file in the folder, `postgresql://…` of an empty database or
    `redis://…` of an empty server.
    """

    folder: Path
    url: str


class Contender(Protocol):
    """An engine that is ready to handle."""

    async def emit(self, first: First, index: int) -> None:
        """Send one event from outside, as durably as the engine does."""
        ...

    async def state_sum(self) -> int:
        """Return the sum of all counts in the state."""
        ...


Open = Callable[[Where, Handled], AbstractAsyncContextManager[Contender]]
"""What every contender's module has under the name `contender`."""


def key_of(index: int) -> str:
    """Return the key of a chain: in turn, so that no two under way share one.

    Most peers would lose updates of one key otherwise: they have no transactions over it.
    """
    return f"key-{index % KEYS}"


def counted_up(state: dict[str, int | str] | None, key: str) -> dict[str, int | str]:
    """Return the state after one more step."""
    return {
        "count": int(state["count"]) + 1 if state else 1,
        "name": key,
    }
