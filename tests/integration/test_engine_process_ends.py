"""Handlers in processes of their own: when their time counts, what reaches them, how they end."""

import os
import signal
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.steps import until, write_steps
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio


async def test_process_values_of_nearly_the_largest_size_cross(tmp_path: Path) -> None:
    """What may be stored at all can also be passed to and from a handler's process."""
    steps = {
        "large_step": """
            config = {"type": "event", "name": "Large", "subscribes": ["n"],
                      "execution": "process"}
            async def handler(size, ctx):
                await ctx.state.set("large", "n", b"x" * size)
                assert len(await ctx.state.get("large", "n")) == size
        """
    }
    size = 16 * 1024 * 1024 - 8
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", size)
        await h.drain()

        assert await h.dead() == []
        assert len(await h.state("large", "n")) == size


async def test_process_handler_gets_its_model(tmp_path: Path) -> None:
    """A pydantic model, with its aliases, is made in the handler's process; a misfit is dead."""
    steps = {
        "typed_step": """
            from decimal import Decimal
            from pydantic import BaseModel, Field
            class Order(BaseModel):
                price: Decimal = Field(alias="unitPrice")
            config = {"type": "event", "name": "Typed", "subscribes": ["n"], "input": Order,
                      "execution": "process"}
            async def handler(order, ctx):
                assert type(order) is Order
                await ctx.state.set("orders", "last", order)
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", {"unitPrice": "2.50"})
        await h.emit("n", {"unitPrice": "cheap"})
        await h.drain()

        assert await h.state("orders", "last") == {"price": Decimal("2.50")}
        assert [dead.error.partition(":")[0] for dead in await h.dead()] == ["InvalidData"]


async def test_process_batch_handler_gets_its_structs(tmp_path: Path) -> None:
    """With a batch, each event of the list has the declared type."""
    steps = {
        "typed_step": """
            import msgspec
            class Order(msgspec.Struct):
                n: int
            config = {"type": "event", "name": "Typed", "subscribes": ["n"], "input": Order,
                      "execution": "process", "batch": {"size": 2}}
            async def handler(orders, ctx):
                await ctx.state.set("orders", "n", [order.n for order in orders])
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        await h.emit("n", {"n": 1})
        await h.emit("n", {"n": 2})
        await h.drain()

        assert await h.dead() == []
        assert await h.state("orders", "n") == [1, 2]


_PARENT = """
import sys
import anyio
from tidegate.testing import Harness

async def main():
    async with Harness(sys.argv[1]) as h:
        await h.emit("n", sys.argv[2])
        await h.drain()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when it next asks for ctx")
async def test_process_ends_with_its_parent_also_while_it_is_busy(tmp_path: Path) -> None:
    """After kill -9 of the runtime a handler in the midst of its work is gone too."""
    steps = {
        "busy_step": """
            import os, time
            from pathlib import Path
            config = {"type": "event", "name": "Busy", "subscribes": ["n"],
                      "execution": "process"}
            def handler(path, ctx):
                Path(path + ".new").write_text(str(os.getpid()))
                os.rename(path + ".new", path)
                time.sleep(60)
        """
    }
    folder, note = write_steps(tmp_path / "steps", steps), tmp_path / "pid"
    command = [sys.executable, "-c", _PARENT, str(folder), str(note)]
    parent = await anyio.open_process(command, stdout=None, stderr=None)
    try:
        await until(note.exists, 20.0)
    finally:
        parent.kill()
        await parent.wait()
    pid = int(note.read_text())
    try:
        await until(lambda: not _is_running(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_process_api_handler_answers_and_refuses(tmp_path: Path) -> None:
    """An api handler elsewhere reads its request by any name, commits, answers and refuses."""
    steps = {
        "heavy_step": """
            import os
            from tidegate import HTTPError
            config = {"type": "api", "name": "Heavy", "method": "POST", "path": "/heavy/:what",
                      "execution": "process"}
            async def handler(req, ctx):
                what = req.pathParams["what"]
                if what == "bad":
                    raise HTTPError(409, "not now")
                await ctx.state.increment("heavy", "n", req["body"]["n"])
                answers = {"none": None, "bytes": b"x", "text": "t", "pair": (201, {"a": 1})}
                if what in answers:
                    return answers[what]
                return {"status": 202, "body": {
                    "here": os.getpid(), "q": req.get("queryParams"), "raw": req.raw_body.decode(),
                    "same": req.path_params == req["pathParams"] == {"what": what},
                    "method": req.method, "path": req.path, "kind": req.headers["content-type"],
                    "cookies": req.cookies, "user": req.user, "tenant": req.tenant}}
        """
    }
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:

        async def post(what: str) -> Any:
            return await h.client.post(f"/heavy/{what}?a=b", json={"n": 1})

        full = (await post("all")).json()
        assert full.pop("here") != os.getpid()
        assert full.pop("raw").replace(" ", "") == '{"n":1}'
        assert full == {
            "q": {"a": "b"},
            "same": True,
            "method": "POST",
            "path": "/heavy/all",
            "kind": "application/json",
            "cookies": {},
            "user": None,
            "tenant": None,
        }
        assert (await post("none")).status_code == 204
        assert (await post("bytes")).content == b"x"
        assert (await post("text")).json() == "t"
        pair = await post("pair")
        assert (pair.status_code, pair.json()) == (201, {"a": 1})
        assert (await post("bad")).status_code == 409
        assert await h.state("heavy", "n") == 5


async def test_process_api_handler_gets_its_model_or_the_bytes(tmp_path: Path) -> None:
    """A body has its declared type there; one that is no JSON is 400 only when it is read."""
    steps = {
        "typed_step": """
            from pydantic import BaseModel, Field
            class Order(BaseModel):
                price: int = Field(alias="unitPrice")
            config = {"type": "api", "name": "Typed", "method": "POST", "path": "/typed",
                      "execution": "process", "bodySchema": Order,
                      "middleware": ["authMiddleware"]}
            def handler(req, ctx):
                return {"price": req.body.price, "same": req.user.user_id == req.user.userId}
        """,
        "raw_step": """
            config = {"type": "api", "name": "Raw", "method": "POST", "path": "/raw/:read",
                      "execution": "process"}
            def handler(req, ctx):
                return req.body if req.pathParams["read"] == "body" else len(req.rawBody)
        """,
    }
    json = {"Content-Type": "application/json"}
    async with Harness(write_steps(tmp_path / "steps", steps)) as h:
        typed = await h.client.post("/typed", json={"unitPrice": 3})
        misfit = await h.client.post("/typed", json={"unitPrice": "x"})
        raw = await h.client.post("/raw/bytes", content=b"{no", headers=json)
        read = await h.client.post("/raw/body", content=b"{no", headers=json)

        assert typed.json() == {"price": 3, "same": True}
        assert misfit.status_code in (400, 422)
        assert raw.json() == 3
        assert read.status_code == 400
