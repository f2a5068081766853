"""`tidegate dev` as a process: changed files are loaded again, a faulty one stops no other."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.instances import eventually, started
from tests.support.ports import unused_port
from tests.support.steps import write_steps

_STEP = """
config = {{"type": "api", "name": "{name}", "method": "GET", "path": "/{name}"}}
async def handler(req, ctx{resources}):
    return {{"v": "{answer}"}}
"""
_SOCKET = """
config = {"type": "api", "name": "W", "method": "GET", "path": "/ws", "websocket": True}
async def handler(req, ctx):
    async for message in req.ws:
        pass
"""
_RESOURCES = """
import sys
from contextlib import asynccontextmanager
@asynccontextmanager
async def resources(data_dir):
    {line}
    yield {{}}
"""


def _step(name: str, answer: str, resources: str = "") -> str:
    return _STEP.format(name=name, answer=answer, resources=resources)


def _answers(port: int, name: str, answer: str) -> Callable[[], bool]:
    def look() -> bool:
        answered = httpx.get(f"http://127.0.0.1:{port}/{name}", timeout=10)
        return bool(answered.json() == {"v": answer})

    return look


def test_dev_reports_who_asks_for_an_unknown_resource(tmp_path: Path) -> None:
    """The step is named in the log and left out; the others answer, now and after a reload."""
    files = {"a_step": _step("a", "1"), "b_step": _step("b", "1", ", *, nobody")}
    steps = write_steps(tmp_path / "steps", files)

    with started(tmp_path, steps, port := unused_port(), command="dev"):
        eventually(_answers(port, "a", "1"))
        write_steps(steps, {"a_step": _step("a", "2")})
        eventually(_answers(port, "a", "2"), timeout_s=20)

    log = (tmp_path / "start.log").read_text()
    assert "step.faulty" in log
    assert "b_step.py:2: nobody provides the resource 'nobody'" in log


@pytest.mark.parametrize("line", ["raise RuntimeError('no provider')", "sys.exit(0)"])
def test_dev_goes_on_when_resources_fail(tmp_path: Path, line: str) -> None:
    """A `step_resources.py` that fails when it is loaded again leaves the old steps at work."""
    files = {"a_step": _step("a", "1"), "step_resources": _RESOURCES.format(line="pass")}
    steps = write_steps(tmp_path / "steps", files)

    def is_told() -> bool:
        return "steps.reload_failed" in (tmp_path / "start.log").read_text()

    with started(tmp_path, steps, port := unused_port(), command="dev") as process:
        write_steps(steps, {"step_resources": _RESOURCES.format(line=line)})
        eventually(lambda: is_told() or process.poll() is not None, timeout_s=20)
        assert _answers(port, "a", "1")()
        mended = {"a_step": _step("a", "2"), "step_resources": _RESOURCES.format(line="pass")}
        write_steps(steps, mended)
        eventually(_answers(port, "a", "2"), timeout_s=20)


@pytest.mark.slow
def test_dev_reloads_past_an_open_websocket(tmp_path: Path) -> None:
    """A socket of an old version holds up no reload; its client is told to come again."""
    files = {"a_step": _step("a", "1"), "ws_step": _SOCKET}
    steps = write_steps(tmp_path / "steps", files)

    with (
        started(tmp_path, steps, port := unused_port(), command="dev"),
        connect(f"ws://127.0.0.1:{port}/ws") as socket,
    ):
        for answer in ("2", "3", "4"):
            write_steps(steps, {"a_step": _step("a", answer)})
            eventually(_answers(port, "a", answer), timeout_s=40)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
