"""Which invocations of a handler that goes on say that they cannot run a second time."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.serving import served_steps
from tidegate.contract import Step
from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine

pytestmark = pytest.mark.anyio

STEPS = {
    "loop_step": """
    config = {"type": "api", "name": "Loop", "path": "/loop", "websocket": True}
    async def handler(req, ctx):
        async for message in req.ws:
            await req.ws.send(message)
            return
    """,
    "callback_step": """
    config = {"type": "api", "name": "Callback", "path": "/callback", "websocket": True}
    async def handler(req, ctx):
        req.ws.on("message", lambda message: req.ws.send(message))
    """,
    "lines_step": """
    config = {"type": "api", "name": "Lines", "path": "/lines"}
    async def handler(req, ctx):
        yield "1"
        yield "2"
    """,
}


def _watched(engine: Engine) -> list[bool]:
    """Return a list that notes of each invocation whether it can run again."""
    noted: list[bool] = []
    invoke = engine.invoke

    async def note(step: Step, invocation: Invocation, *given: Any, **options: Any) -> Any:
        noted.append(invocation.can_rerun)
        return await invoke(step, invocation, *given, **options)

    engine.invoke = note  # type: ignore[method-assign]  # looked at, not replaced
    return noted


async def test_later_segments_of_a_generator_cannot_rerun(tmp_path: Path) -> None:
    """Up to the first piece it runs again from its top; what comes after cannot."""
    async with served_steps(tmp_path, STEPS) as (port, engine), httpx.AsyncClient() as client:
        noted = _watched(engine)
        answer = await client.get(f"http://127.0.0.1:{port}/lines")

    assert answer.text == "12"
    assert noted == [True, False, False]


@pytest.mark.parametrize(("path", "expected"), [("loop", [True, False]), ("callback", [True] * 2)])
async def test_later_segments_of_a_loop_cannot_rerun(
    tmp_path: Path, path: str, expected: list[bool]
) -> None:
    """A loop over messages cannot go back; a callback runs again as any handler."""
    async with served_steps(tmp_path, STEPS) as (port, engine):
        noted = _watched(engine)
        async with connect(f"ws://127.0.0.1:{port}/{path}") as client:
            await client.send("hello")
            with anyio.fail_after(10):
                await client.recv()

    assert noted == expected
