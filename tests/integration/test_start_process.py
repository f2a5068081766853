"""`tidegate start` and the commands beside it, as processes of their own."""

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.instances import eventually, started, tidegate, tidegate_json
from tests.support.ports import unused_port
from tests.support.steps import write_steps

STEPS = {
    "order_step": """
    config = {"type": "api", "name": "Order", "method": "POST", "path": "/orders",
              "emits": ["order.placed"]}
    async def handler(req, ctx):
        await ctx.emit("order.placed", req.body)
        return (201, {"id": req.body["id"]})
    """,
    "pack_step": """
    config = {"type": "event", "name": "Pack", "subscribes": ["order.placed"],
              "emits": ["order.packed"], "retry": {"attempts": 1}}
    async def handler(order, ctx, *, data_dir):
        if order["id"] == "broken" and not (data_dir / "mended").exists():
            raise RuntimeError("no box fits")
        await ctx.emit("order.packed", order)
    """,
    "count_step": """
    config = {"type": "event", "name": "Count", "subscribes": ["order.packed"], "emits": []}
    async def handler(order, ctx):
        await ctx.state.increment("orders", "packed")
    """,
    "beat_step": """
    config = {"type": "cron", "name": "Beat", "cron": "@every 100ms", "emits": []}
    async def handler(ctx):
        await ctx.state.set("cron", "beats", True)
    """,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Run the steps for all tests of this module; return the port and the data folder."""
    folder, port = tmp_path_factory.mktemp("shop"), unused_port()
    with started(folder, write_steps(folder / "steps", STEPS), port):
        yield port, folder / "data"


def _order(port: int, order_id: str) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/orders", json={"id": order_id}, timeout=10)


def _packed(data: Path) -> int:
    done = tidegate("state", "get", "orders", "packed", "--data", data)
    return int(done.stdout) if done.returncode == 0 else 0


def _wait_packed(data: Path, count: int) -> None:
    eventually(lambda: _packed(data) == count, timeout_s=20)


def test_start_answers_and_handles_events(shop: tuple[int, Path]) -> None:
    """An api step answers, its event runs through two steps, a cron step beats."""
    port, data = shop
    before = _packed(data)

    answer = _order(port, "a")

    assert (answer.status_code, answer.json()) == (201, {"id": "a"})
    eventually(lambda: _packed(data) == before + 1)
    assert tidegate_json("state", "get", "cron", "beats", "--data", data) == {"value": True}


def test_start_serves_operations_and_guards_the_workbench(shop: tuple[int, Path]) -> None:
    """Health, readiness and metrics are there; the workbench needs the token of the folder."""
    port, data = shop
    token_file = data / "admin.token"

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        codes = [client.get(path).status_code for path in ("/health", "/ready", "/metrics")]
        stranger = client.get("/api/v1/steps")
        bearer = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
        names = {
            step["name"] for step in client.get("/api/v1/steps", headers=bearer).json()["steps"]
        }

    assert codes == [200, 200, 200]
    assert stranger.status_code == 401
    assert {"Order", "Pack", "Count", "Beat"} < names
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600


def test_start_emit_dead_show_and_redrive(shop: tuple[int, Path]) -> None:
    """An event emitted by hand that dies is listed, shown, and tried again by the commands."""
    _, data = shop
    before = _packed(data)
    assert tidegate("emit", "order.placed", '{"id": "broken"}', "--data", data).returncode == 0
    eventually(lambda: bool(tidegate_json("dead", "list", "--data", data)["dead"]))
    [letter] = tidegate_json("dead", "list", "--data", data)["dead"]
    listed = tidegate("dead", "list", "--data", data).stdout
    shown = tidegate("dead", "show", letter["id"], "--data", data).stdout

    (data / "mended").touch()
    redriven = tidegate_json("dead", "redrive", letter["id"], "--data", data)

    assert (letter["step"], letter["payload"]) == ("Pack", {"id": "broken"})
    assert "Pack  order.placed  RuntimeError: no box fits" in listed
    assert "Traceback" in shown
    assert redriven == {"id": letter["id"]}
    eventually(lambda: _packed(data) == before + 1)
    assert tidegate_json("dead", "list", "--data", data)["dead"] == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("state", "get", "no", "such"), "answers 404: no such value"),
        (("dead", "redrive", "999"), "answers 404: no such dead event"),
        (("dead", "show", "999"), "answers 404: no such dead event"),
        (("emit", "x", "{"), "is no JSON"),
    ],
)
def test_start_commands_say_what_is_wrong(
    shop: tuple[int, Path], arguments: tuple[str, ...], reason: str
) -> None:
    """What is not there, or cannot be read, is one line and exit code 2."""
    done = tidegate(*arguments, "--data", shop[1])

    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_start_survives_a_kill_and_ends_in_time(tmp_path: Path) -> None:
    """After `kill -9` the same command starts on the same folder; SIGTERM ends it soon."""
    steps, data = write_steps(tmp_path / "steps", STEPS), tmp_path / "data"
    with started(tmp_path, steps, port := unused_port()):
        _order(port, "a")
        eventually(lambda: _packed(data) == 1)
    stopped = tidegate("state", "get", "orders", "packed", "--data", data)

    with started(tmp_path, steps, port := unused_port()) as process:
        kept = _packed(data)
        _order(port, "b")
        eventually(lambda: _packed(data) == 2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=8)

    assert (stopped.returncode, kept, code) == (2, 1, 0)
    assert "no instance runs on" in stopped.stderr
    assert time.monotonic() - began < 8


def test_start_refuses_a_broken_step(tmp_path: Path) -> None:
    """A fault in any step file is exit code 2, and names each file with line and reason."""
    files = {
        "good_step": STEPS["count_step"],
        "syntax_step": "\n\nconfig = {)\n",
        "key_step": "\nconfig = {'type': 'noop', 'name': 'K', 'emit': []}\n",
        "zone_step": """
        config = {"type": "cron", "name": "Z", "cron": "0 6 * * *", "timezone": "Mars"}
        async def handler(ctx): ...
        """,
    }
    steps = write_steps(tmp_path / "steps", files)

    done = tidegate("start", "--steps", steps, "--data", tmp_path / "data", "--port", unused_port())
    listed = tidegate("steps", "list", "--steps", steps)

    assert (done.returncode, listed.returncode) == (2, 2)
    assert f"{steps / 'key_step.py'}:2: unknown key 'emit', did you mean 'emits'?" in done.stderr
    assert f"{steps / 'syntax_step.py'}:3: SyntaxError" in done.stderr
    assert f"{steps / 'zone_step.py'}:2: cron '0 6 * * *' in zone 'Mars'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_start_lists_steps_without_running_them(tmp_path: Path) -> None:
    """`steps list` shows the steps of several folders, for people and as the endpoint does."""
    one = write_steps(tmp_path / "one", {"order_step": STEPS["order_step"]})
    two = write_steps(tmp_path / "two", {"count_step": STEPS["count_step"]})

    shown = tidegate("steps", "list", "--steps", one, "--steps", two).stdout
    listed = tidegate_json("steps", "list", "--steps", one, "--steps", two)["steps"]

    assert "api    Order" in shown
    assert "POST /orders" in shown
    assert [(step["name"], step["type"]) for step in listed] == [
        ("Count", "event"),
        ("Order", "api"),
    ]


def test_start_keeps_state_and_events_in_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """With `--store` the same steps run on a database, and go on there after a kill."""
    steps = write_steps(tmp_path / "steps", STEPS)
    data = tmp_path / "data"

    for runs in range(2):
        port = unused_port()
        with started(tmp_path, steps, port, "--store", postgres_url):
            assert _packed(data) == runs
            assert _order(port, f"order-{runs}").status_code == 201
            _wait_packed(data, runs + 1)

    assert not (data / "state.db").exists()


def test_start_emit_says_who_hears_it(shop: tuple[int, Path]) -> None:
    """An event that no step subscribes to is most often a mistake in its topic: it is told."""
    _, data = shop
    before = _packed(data)

    heard = tidegate("emit", "order.packed", '{"id": "heard"}', "--data", data)
    unheard = tidegate("emit", "order.pcaked", "{}", "--data", data)

    assert (heard.returncode, heard.stdout) == (0, "order.packed goes to Count\n")
    assert (unheard.returncode, unheard.stdout) == (0, "no step subscribes to 'order.pcaked'\n")
    _wait_packed(data, before + 1)
