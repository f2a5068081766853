"""Turns dead events into what their pages show, and says how an action went. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from cloud.dashboard.payload_text import Shown, payload_text, visible_text
from cloud.dashboard.step_desk import DeadEvent
from cloud.dashboard.steps_view import is_internal


class Limits(NamedTuple):
    """How many characters of each part are shown."""

    error: int
    payload: int
    stack: int


IN_LIST = Limits(error=300, payload=4_000, stack=8_000)
ALONE = Limits(error=8_000, payload=64_000, stack=64_000)


class DeadRow(NamedTuple):
    """One dead event; `payload` is None when it is not shown, and `withheld` says why."""

    id: int
    step: str
    topic: str
    error: Shown
    stack: Shown
    payload: Shown | None
    withheld: str
    size_bytes: int
    attempts: int
    died_at_ms: int
    is_internal: bool
    is_loaded: bool


def dead_row(dead: DeadEvent, limits: Limits = IN_LIST) -> DeadRow:
    """Return the view of a dead event. What the runtime tells itself is not shown."""
    internal = is_internal(dead.step)
    withheld = _withheld(dead, is_own=internal)
    return DeadRow(
        id=dead.id,
        step=dead.step,
        topic=dead.topic,
        error=visible_text(dead.error, limit=limits.error),
        stack=visible_text(dead.stack.strip("\n"), limit=limits.stack, keep="end"),
        payload=None if withheld else payload_text(dead.data, limit=limits.payload),
        withheld=withheld,
        size_bytes=dead.size_bytes,
        attempts=dead.attempts,
        died_at_ms=dead.died_at_ms,
        is_internal=internal,
        is_loaded=dead.is_loaded,
    )


def _withheld(dead: DeadEvent, *, is_own: bool) -> str:
    if is_own:
        return "The runtime's own data is not shown."
    return "Too long for the list." if dead.is_left_out else ""


def notice(asked: Mapping[str, str | int]) -> str:
    """Return what the list says after an action, "" when there was none."""
    count, gone = int(asked.get("count", 0)), int(asked.get("gone", 0))
    were_gone = f" {counted(gone)} had gone meanwhile." if gone else ""
    texts = {
        "redriven": f"{counted(count)} will be tried again with all attempts.{were_gone}",
        "deleted": f"{counted(count)} deleted.{were_gone}",
        "nothing": "Nothing was selected. Mark events first.",
        "away": "The store did not answer. See below what was done, and try again.",
    }
    return texts.get(str(asked.get("done", "")), "")


def counted(events: int) -> str:
    """Return `1 event`, `2 events`, `No event`."""
    return {0: "No event", 1: "1 event"}.get(events, f"{events} events")
