"""What waits for a WebSocket's client, and what one invocation may send, is bounded."""

from typing import Any

import pytest

from tidegate.errors import NonRetriable
from tidegate.http.line import MOST_WAITING_BYTES, Line
from tidegate.http.websocket import MAX_MESSAGE_BYTES, Outbox

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024


async def _nowhere(_message: dict[str, Any]) -> None:
    raise AssertionError


async def test_outbox_never_holds_more_than_its_bound() -> None:
    """The frame that would go beyond the bound is refused, not the one after it."""
    line, outbox = Line("Step", _nowhere), Outbox()
    outbox.add(line, b"x" * (10 * MIB))

    with pytest.raises(NonRetriable, match="more than"):
        outbox.add(line, b"x" * (10 * MIB))

    outbox.add(line, b"x" * (5 * MIB))


async def test_outbox_takes_one_message_of_any_allowed_size() -> None:
    """The largest message that may be sent can be sent."""
    Outbox().add(Line("Step", _nowhere), b"x" * MAX_MESSAGE_BYTES)


async def test_line_cuts_off_before_it_holds_too_much() -> None:
    """What would make more wait than may wait is not queued; the client is cut off."""
    line = Line("Step", _nowhere)
    line.offer([b"x" * (3 * MIB)])
    assert line.waiting_bytes > 0

    line.offer([b"x" * (2 * MIB)])

    assert line.waiting_bytes == 0


async def test_line_takes_a_large_answer_when_little_waits() -> None:
    """A client that takes what it is sent may be answered with a message of any size."""
    line = Line("Step", _nowhere)
    line.offer([b"x" * (MIB // 2)])

    line.offer([b"x" * (2 * MOST_WAITING_BYTES)])

    assert line.waiting_bytes > 2 * MOST_WAITING_BYTES
