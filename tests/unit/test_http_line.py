"""What waits for a WebSocket's client, and what one invocation may send, is bounded."""

from typing import Any

import pytest

from tidegate.errors import NonRetriable
from tidegate.http.limits import STANDARD
from tidegate.http.line import Line
from tidegate.http.websocket import Outbox

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024


async def _nowhere(_message: dict[str, Any]) -> None:
    raise AssertionError


def _line() -> Line:
    return Line("Step", _nowhere, limits=STANDARD)


async def test_outbox_never_holds_more_than_its_bound() -> None:
    """The frame that would go beyond the bound is refused, not the one after it."""
    line, outbox = _line(), Outbox(STANDARD.message_bytes)
    outbox.add(line, b"x" * (10 * MIB))

    with pytest.raises(NonRetriable, match="more than"):
        outbox.add(line, b"x" * (10 * MIB))

    outbox.add(line, b"x" * (5 * MIB))


async def test_outbox_takes_one_message_of_any_allowed_size() -> None:
    """The largest message that may be sent can be sent."""
    Outbox(STANDARD.message_bytes).add(_line(), b"x" * STANDARD.message_bytes)


async def test_line_cuts_off_before_it_holds_too_much() -> None:
    """What would make more wait than may wait is not queued; the client is cut off."""
    line = _line()
    line.offer([b"x" * (3 * MIB)])
    assert line.waiting_bytes > 0

    line.offer([b"x" * (2 * MIB)])

    assert line.waiting_bytes == 0


async def test_line_takes_a_large_answer_when_little_waits() -> None:
    """A client that takes what it is sent may be answered with a message of any size."""
    line = _line()
    line.offer([b"x" * (MIB // 2)])

    line.offer([b"x" * (2 * STANDARD.waiting_bytes)])

    assert line.waiting_bytes > 2 * STANDARD.waiting_bytes
