"""Sending an answer piece by piece to clients that leave."""

from collections.abc import AsyncIterator

import pytest
from anyio.lowlevel import checkpoint

from tidegate.http.answer import Streamed
from tidegate.http.source import Message
from tidegate.http.streaming import send_stream

pytestmark = pytest.mark.anyio

_MANY = 10_000


async def test_stream_that_never_waits_ends_when_its_client_leaves() -> None:
    """Neither its pieces nor sending them wait for anything: others have their turn."""
    made: list[int] = []

    async def pieces() -> AsyncIterator[str]:
        for number in range(_MANY):
            made.append(number)
            yield "piece"

    async def receive() -> Message:
        await checkpoint()
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        """Take it at once."""

    await send_stream(Streamed(200, [], pieces()), "Endless", receive, send)

    assert 0 < len(made) < _MANY
