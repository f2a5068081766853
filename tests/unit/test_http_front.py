"""The app behind the front is replaced while calls are under way."""

from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from tidegate.http.front import Front

pytestmark = pytest.mark.anyio


async def _nothing(*_given: Any) -> Any:
    return {}


async def test_front_waits_for_several_apps_at_once() -> None:
    """Each replaced app is waited for until its own calls have ended."""
    gates = [anyio.Event(), anyio.Event()]
    idle: list[int] = []

    def app_of(number: int) -> Any:
        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            await gates[number].wait()

        return app

    apps = [app_of(0), app_of(1)]
    front = Front(_nothing)

    async def wait_for(number: int) -> None:
        await front.wait_idle(apps[number])
        idle.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number, app in enumerate(apps):
                front.app = app
                tasks.start_soon(front, {"type": "http"}, _nothing, _nothing)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(wait_for, number)
            await anyio.wait_all_tasks_blocked()
            for gate in gates:
                gate.set()
                await anyio.wait_all_tasks_blocked()

    assert idle == [0, 1]
