"""What `tidegate start` says about steps and services that are not as they should be."""

import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.instances import eventually, launched, started, tidegate
from tests.support.ports import unused_port
from tests.support.postgres import Postgres
from tests.support.steps import write_steps


def test_start_warns_of_mqtt_steps_without_a_broker(tmp_path: Path) -> None:
    """Without `--mqtt` the steps that nobody feeds are named once."""
    step = """
    config = {"type": "mqtt", "name": "Meter", "topic": "a/b"}
    async def handler(message, ctx): ...
    """
    steps = write_steps(tmp_path / "steps", {"meter_step": step})

    with started(tmp_path, steps, unused_port()):
        [line] = [
            line
            for line in (tmp_path / "start.log").read_text().splitlines()
            if "mqtt.no_broker" in line
        ]

    assert "Meter" in line
    assert "--mqtt" in line


def _status(port: int, path: str) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
def test_start_answers_while_it_waits_for_its_store(tmp_path: Path, *, listens: bool) -> None:
    """A process without its database lives, says that it is not ready, and ends when asked."""
    paths = ("/health", "/ready", "/metrics", "/orders")
    with socket.socket() as database:
        database.bind(("127.0.0.1", 0))
        if listens:
            database.listen()
        url = f"postgresql://u:p@127.0.0.1:{database.getsockname()[1]}/d"
        steps = write_steps(tmp_path / "steps", {})

        with launched(tmp_path, steps, port := unused_port(), "--store", url) as process:
            eventually(lambda: _status(port, "/ready") == 503, timeout_s=20)
            answers = [_status(port, path) for path in paths]
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=20)

    assert answers == [503, 503, 200, 503]
    assert code == 0


def test_start_serves_when_its_store_has_come(tmp_path: Path, own_postgres: Postgres) -> None:
    """What waited for its database takes up its work once the database answers."""
    step = """
    config = {"type": "api", "name": "Hello", "method": "GET", "path": "/hello"}
    async def handler(req, ctx):
        return {"hello": "you"}
    """
    steps = write_steps(tmp_path / "steps", {"hello_step": step})
    url = own_postgres.new_database()
    own_postgres.stop()

    with launched(tmp_path, steps, port := unused_port(), "--store", url):
        eventually(lambda: _status(port, "/hello") == 503, timeout_s=20)
        own_postgres.start()
        eventually(lambda: _status(port, "/ready") == 200, timeout_s=20)
        answer = _status(port, "/hello")

    assert answer == 200


@pytest.mark.parametrize("file", ["leaving_step", "step_resources"])
def test_start_names_a_file_that_exits(tmp_path: Path, file: str) -> None:
    """`sys.exit(0)` in a file of steps is a fault that is told, not a start that went well."""
    steps = write_steps(tmp_path / "steps", {file: "import sys\nsys.exit(0)\n"})

    done = tidegate("start", "--steps", steps, "--data", tmp_path / "data", "--port", unused_port())

    assert done.returncode == 2
    assert f"{file}.py:" in done.stderr
    assert "calls sys.exit(0) when it is loaded" in done.stderr
