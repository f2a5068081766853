"""Two real processes on one store, joined by a real broker: CONTRACT §5.10, and mqtt steps."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.broker_clients import Client
from tests.support.instances import eventually, started
from tests.support.ports import unused_port
from tests.support.servers import Mosquitto

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT_S = 20
STEPS = {
    "move_step.py": """
config = {"type": "api", "name": "Move", "method": "POST", "path": "/games/:game/moves"}

async def handler(req, ctx):
    board = ctx.streams["game:" + req.path_params["game"]]
    for move in req.body:
        await board.set("board/1", move["piece"], move["to"])
    await board.send("board/1", {"moves": len(req.body)})
""",
    "listen_step.py": """
config = {"type": "mqtt", "name": "Listen", "topic": "e2e/+/temperature"}

async def handler(message, ctx):
    await ctx.state.increment("heard", message["topic"].split("/")[1])
    await ctx.streams["temperatures"].set("all", message["topic"], message["payload"])
""",
}


class Instance:
    """One process of `tidegate start`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._data = folder / "data"
        self.url = f"http://127.0.0.1:{port}"

    @property
    def headers(self) -> dict[str, str]:
        """The administrator's token."""
        token = (self._data / "admin.token").read_text().strip()
        return {"Authorization": f"Bearer {token}"}

    def move(self, *moves: tuple[str, str]) -> None:
        """Move pieces on the board."""
        body = [{"piece": piece, "to": to} for piece, to in moves]
        answer = httpx.post(f"{self.url}/games/42/moves", json=body, timeout=WAIT_S)
        assert answer.status_code == 204, answer.text

    @contextmanager
    def follow(self, path: str, after: int | None = None) -> Iterator[Iterator[dict[str, Any]]]:
        """Follow a group of a stream."""
        headers = self.headers | ({} if after is None else {"Last-Event-ID": str(after)})
        url = f"{self.url}/api/v1/streams/{path}"
        with httpx.stream("GET", url, headers=headers, timeout=WAIT_S) as response:
            assert response.status_code == 200, response.read()
            yield (json.loads(ln[6:]) for ln in response.iter_lines() if ln.startswith("data: "))


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store that processes share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def pair(
    tmp_path: Path, store_url: str, own_mosquitto: Mosquitto
) -> Iterator[tuple[Instance, Instance]]:
    """Run two processes with data folders of their own."""
    steps = _steps(tmp_path)
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            port = unused_port()
            options = ("--store", store_url, "--mqtt", own_mosquitto.url)
            stack.enter_context(started(folder, steps, port, *options))
            found.append(Instance(folder, port))
        eventually(lambda: own_mosquitto.log.count("Sending SUBACK to tidegate-streams-") >= 2)
        yield found[0], found[1]


def _steps(folder: Path) -> Path:
    steps = folder / "steps"
    steps.mkdir()
    for name, text in STEPS.items():
        (steps / name).write_text(text)
    return steps


def test_streams_cross_processes(pair: tuple[Instance, Instance]) -> None:
    """A client on B sees a write on A; with its number it comes back, to either, without loss."""
    a, b = pair
    a.move(("king", "e1"))

    with b.follow("game%3A42/board%2F1") as frames:
        snapshot = next(frames)
        a.move(("king", "e2"), ("queen", "d1"))
        live = list(islice(frames, 3))
    a.move(("king", "e3"))
    b.move(("queen", "d2"))
    with a.follow("game%3A42/board%2F1", after=live[-1]["seq"]) as frames:
        missed = list(islice(frames, 4))
        b.move(("rook", "a1"))
        after = list(islice(frames, 2))

    assert snapshot == {"seq": 2, "type": "snapshot", "id": None, "data": {"king": "e1"}}
    assert live == [
        {"seq": 3, "type": "set", "id": "king", "data": "e2"},
        {"seq": 4, "type": "set", "id": "queen", "data": "d1"},
        {"seq": 5, "type": "event", "id": None, "data": {"moves": 2}},
    ]
    assert [(frame["seq"], frame["data"]) for frame in missed + after] == [
        (6, "e3"), (7, {"moves": 1}), (8, "d2"), (9, {"moves": 1}), (10, "a1"), (11, {"moves": 1}),
    ]  # fmt: skip


def test_streams_cross_processes_without_their_broker(
    pair: tuple[Instance, Instance], own_mosquitto: Mosquitto
) -> None:
    """A broker that is gone makes changes late, and loses none."""
    a, b = pair

    with b.follow("game%3A42/board%2F1") as frames:
        next(frames)
        own_mosquitto.kill()
        a.move(("king", "e2"))
        a.move(("king", "e3"))
        late = list(islice(frames, 4))

    assert [frame["seq"] for frame in late] == [1, 2, 3, 4]


def test_streams_are_only_for_who_is_known(pair: tuple[Instance, Instance]) -> None:
    """Without a token there is nothing to see; the client's script is for everybody."""
    a, _ = pair

    assert httpx.get(f"{a.url}/api/v1/streams/game/g").status_code == 401
    script = httpx.get(f"{a.url}/streams.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "export function connect" in script.text


def test_mqtt_step_gets_every_message(tmp_path: Path, own_mosquitto: Mosquitto) -> None:
    """Messages come also when the process was killed, and when it was away."""
    steps, port = _steps(tmp_path), unused_port()
    instance = Instance(tmp_path, port)

    def heard() -> float:
        url = f"{instance.url}/api/v1/state/heard/a"
        answer = httpx.get(url, headers=instance.headers, timeout=WAIT_S)
        return float(answer.json()["value"]) if answer.status_code == 200 else 0.0

    with Client(own_mosquitto.port) as device:
        with started(tmp_path, steps, port, "--mqtt", own_mosquitto.url) as process:
            eventually(lambda: own_mosquitto.log.count("Sending SUBACK to tidegate-") >= 2)
            device.publish("e2e/a/temperature", b"21.5")
            eventually(lambda: heard() == 1, timeout_s=WAIT_S)
            process.kill()
        for value in range(20):
            device.publish("e2e/a/temperature", str(value))
        with started(tmp_path, steps, port, "--mqtt", own_mosquitto.url):
            eventually(lambda: heard() >= 21, timeout_s=WAIT_S)
            with instance.follow("temperatures/all") as frames:
                last = next(frames)

    assert "e2e/a/temperature" in last["data"]


def test_wrong_topic_of_an_mqtt_step_is_told_at_the_start(tmp_path: Path) -> None:
    """A filter that no broker takes ends `tidegate start` with the file and what is wrong."""
    steps = _steps(tmp_path)
    text = (steps / "listen_step.py").read_text().replace("e2e/+/", "e2e/#/")
    (steps / "listen_step.py").write_text(text)

    with (
        pytest.raises(AssertionError, match="ended with 2"),
        started(tmp_path, steps, unused_port()),
    ):
        pass

    log = (tmp_path / "start.log").read_text()
    assert "listen_step.py" in log
    assert "'#' must be at the end" in log
