"""What holds over several processes, crashes, and reloads."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.instances import eventually, started, tidegate
from tests.support.ports import unused_port
from tests.support.steps import until, write_steps

pytestmark = pytest.mark.anyio


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").split() if file.exists() else []


def test_conformance_9_a_long_cron_run_never_overlaps(tmp_path: Path, store_url: str) -> None:
    """A cron run longer than its lease, with two processes: no two runs at one time."""
    steps = {
        "long_step": """
    import anyio, os
    config = {"type": "cron", "name": "Long", "cron": "@every 200ms", "lease": 0.5,
              "overlap": "queue"}
    async def handler(ctx, *, data_dir):
        notes = data_dir.parent.parent / "notes"
        with notes.open("a") as file:
            file.write("begin\\n")
        await anyio.sleep(1.2)
        with notes.open("a") as file:
            file.write("end\\n")
    """
    }
    root = write_steps(tmp_path / "steps", steps)
    with ExitStack() as stack:
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            stack.enter_context(started(folder, root, unused_port(), "--store", store_url))

        eventually(lambda: len(_lines(tmp_path / "notes")) >= 8, timeout_s=30)

    notes = _lines(tmp_path / "notes")
    assert notes[:8] == ["begin", "end"] * 4


def test_conformance_18_an_effect_is_recorded_before_a_crash(
    tmp_path: Path, store_url: str
) -> None:
    """A process that dies right after `ctx.run` was journaled does not run its function again."""
    steps = {
        "pay_step": """
    import os
    config = {"type": "event", "name": "Pay", "subscribes": ["pay"], "lease": 1}
    async def handler(data, ctx, *, data_dir):
        charged, died = data_dir.parent / "charged", data_dir.parent / "died"
        def charge():
            with charged.open("a") as file:
                file.write("charged\\n")
            return "receipt 1"
        receipt = await ctx.run("charge", charge)
        if not died.exists():
            died.write_text("")
            os._exit(9)
        (data_dir.parent / "receipt").write_text(receipt)
    """
    }
    root, port = write_steps(tmp_path / "steps", steps), unused_port()
    with started(tmp_path, root, port, "--store", store_url) as process:
        assert tidegate("emit", "pay", "{}", "--data", tmp_path / "data").returncode == 0
        assert process.wait(timeout=20) == 9

    with started(tmp_path, root, port, "--store", store_url):
        eventually((tmp_path / "receipt").exists, timeout_s=20)

    assert (tmp_path / "receipt").read_text("utf-8") == "receipt 1"
    assert _lines(tmp_path / "charged") == ["charged"]


def test_conformance_workers_share_and_lose_nothing(tmp_path: Path, store_url: str) -> None:
    """Two workers share the events of an api process; one is killed, and all are handled once."""
    steps = {
        "order_step": """
    config = {"type": "api", "name": "Order", "method": "POST", "path": "/orders"}
    async def handler(req, ctx):
        for n in range(req.body["first"], req.body["first"] + 20):
            await ctx.emit("ordered", n)
        return 202, {}
    """,
        "pack_step": """
    import anyio, os
    config = {"type": "event", "name": "Pack", "subscribes": ["ordered"], "lease": 2,
              "concurrency": 4}
    async def handler(n, ctx):
        await anyio.sleep(0.05)
        await ctx.state.set("packed", f"{n:04}", os.getpid())
        await ctx.state.increment("times", str(n))
    """,
        "packed_step": """
    config = {"type": "api", "name": "Packed", "method": "GET", "path": "/packed"}
    async def handler(req, ctx):
        return {"by": await ctx.state.get_group("packed"),
                "times": await ctx.state.get_group("times")}
    """,
    }
    root, port = write_steps(tmp_path / "steps", steps), unused_port()

    def packed() -> dict[str, list[int]]:
        answer = httpx.get(f"http://127.0.0.1:{port}/packed", timeout=10)
        packed: dict[str, list[int]] = answer.raise_for_status().json()
        return packed

    with ExitStack() as stack:
        workers = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            options = ("--store", store_url, "--role", "worker")
            worker = started(tmp_path / name, root, unused_port(), *options)
            workers.append(stack.enter_context(worker))
        stack.enter_context(started(tmp_path, root, port, "--store", store_url, "--role", "api"))

        for first in range(0, 200, 20):
            body = {"first": first}
            httpx.post(f"http://127.0.0.1:{port}/orders", json=body).raise_for_status()
        eventually(lambda: len(set(packed()["by"])) > 1, timeout_s=20)
        workers[0].kill()
        eventually(lambda: len(packed()["by"]) == 200, timeout_s=40)

        assert packed()["times"] == [1] * 200
        assert {worker.pid for worker in workers} == set(packed()["by"])


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Run `tidegate dev` on a folder of two steps; return the folder and the address."""
    steps = {
        "hello_step": """
    import anyio
    config = {"type": "api", "name": "Hello", "method": "GET", "path": "/hello"}
    VERSION = 1
    async def handler(req, ctx):
        await anyio.sleep(0.05)
        await ctx.state.increment("calls", req.query_params.get("id", "none"))
        return {"version": VERSION}
    """,
        "bad_step": "config = {'type': 'api'\n",
    }
    root, port = write_steps(tmp_path / "steps", steps), unused_port()
    with started(tmp_path, root, port, command="dev"):
        yield root, f"http://127.0.0.1:{port}"


def test_conformance_14_a_broken_file_stops_no_other_in_dev(dev: tuple[Path, str]) -> None:
    """One step file with a syntax error does not stop the others in `dev`; `start` is refused."""
    root, address = dev

    assert httpx.get(f"{address}/hello").json() == {"version": 1}
    refused = tidegate("start", "--steps", root, "--data", root.parent / "other")
    assert refused.returncode == 2
    assert "bad_step.py:1" in refused.stderr


async def test_conformance_17_a_reload_during_calls_fails_none(dev: tuple[Path, str]) -> None:
    """1,000 calls are in flight while the file changes: all are answered, by old or new code."""
    root, address = dev
    answers: list[int] = []

    async def call(client: httpx.AsyncClient, n: int) -> None:
        answer = await client.get(f"{address}/hello", params={"id": f"c{n}"})
        answers.append(answer.raise_for_status().json()["version"])

    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        async with anyio.create_task_group() as calls:
            for n in range(1000):
                calls.start_soon(call, client, n)
                if n == 500:
                    file = root / "hello_step.py"
                    text = file.read_text("utf-8")
                    file.write_text(text.replace("VERSION = 1", "VERSION = 2"), "utf-8")
                await anyio.sleep(0.002)
        assert len(answers) == 1000

        async def is_new() -> bool:
            version: int = (await client.get(f"{address}/hello")).json()["version"]
            return version == 2

        await until(is_new, timeout_s=20)
    assert set(answers) == {1, 2}


def test_conformance_stop_gives_back_what_it_held(tmp_path: Path, store_url: str) -> None:
    """SIGTERM lets a short handler end, gives a long one back, and ends within 8 s."""
    steps = {
        "work_step": """
    import anyio
    config = {"type": "event", "name": "Work", "subscribes": ["work"], "timeout": 60}
    async def handler(seconds, ctx, *, data_dir):
        (data_dir.parent / f"began-{seconds}-{ctx.attempt}").write_text("")
        await anyio.sleep(seconds if ctx.attempt == 1 else 0)
        (data_dir.parent / f"ended-{seconds}").write_text("")
    """
    }
    root, port = write_steps(tmp_path / "steps", steps), unused_port()
    with started(tmp_path, root, port, "--store", store_url) as process:
        for seconds in ("1", "50"):
            tidegate("emit", "work", seconds, "--data", tmp_path / "data")
            eventually(lambda s=seconds: (tmp_path / f"began-{s}-1").exists())  # type: ignore[misc]
        process.terminate()
        assert process.wait(timeout=8) == 0
        assert (tmp_path / "ended-1").exists()

    with started(tmp_path, root, port, "--store", store_url):
        eventually((tmp_path / "ended-50").exists, timeout_s=10)
    assert (tmp_path / "began-50-2").exists()
