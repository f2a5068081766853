"""The guide to following a stream is true: its steps are started, its commands and page run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.instances import eventually, started

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "follow-a-stream.md"
_FILE = re.compile(r"^```python file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```sh run\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _write_steps(folder: Path) -> Path:
    for name, text in _FILE.findall(GUIDE.read_text("utf-8")):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    return folder / "steps"


def test_streams_guide_shows_what_curl_shows(tmp_path: Path, free_port: int) -> None:
    """A reader who copies the commands sees the frames of the page."""
    text = GUIDE.read_text("utf-8")
    [commands], [shown] = _COMMANDS.findall(text), _OUTPUT.findall(text)

    with started(tmp_path, _write_steps(tmp_path), free_port):
        done = subprocess.run(
            ["bash", "-uc", commands.replace("8080", str(free_port))],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    for frame in shown.strip().split("\n\n"):
        assert f"{frame}\n\n" in done.stdout, done.stdout + done.stderr
    assert done.stdout.startswith('{"pieces":1}\n{"pieces":1}\n')


@pytest.mark.slow
def test_streams_guide_page_follows(tmp_path: Path, free_port: int) -> None:
    """The page of the guide, in a browser, is a client of the stream."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    url = f"http://127.0.0.1:{free_port}"

    def follows() -> bool:
        return "tidegate_stream_clients 1.0" in httpx.get(f"{url}/metrics", timeout=10).text

    with started(tmp_path, _write_steps(tmp_path), free_port):
        token = (tmp_path / "data" / "admin.token").read_text().strip()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [str(chromium), *options, profile, f"{url}/board#{token}"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as browser:
            try:
                eventually(follows, timeout_s=30)
            finally:
                browser.terminate()
                browser.wait(timeout=10)
        eventually(lambda: not follows(), timeout_s=30)
