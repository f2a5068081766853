"""The page on requests is true: its WebSocket step answers."""

import re
from pathlib import Path

from websockets.sync.client import connect

from tests.support.instances import started

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "http.md"
_FILE = re.compile(r"^```python file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_http_page_shows_a_websocket_step_that_answers(tmp_path: Path, free_port: int) -> None:
    """A reader who copies the step is told what he said, and how often somebody spoke."""
    steps = tmp_path / "steps"
    steps.mkdir()
    [(name, text)] = _FILE.findall(PAGE.read_text("utf-8"))
    (steps / name).write_text(text, "utf-8")

    with started(tmp_path, steps, free_port), connect(f"ws://127.0.0.1:{free_port}/chat") as chat:
        chat.send("hello")
        chat.send("again")
        heard = [chat.recv(timeout=10), chat.recv(timeout=10)]

    assert heard == ['{"said":"hello","messages":1}', '{"said":"again","messages":2}']
