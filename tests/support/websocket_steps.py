"""WebSocket steps on a real socket, and what a test asks of a connection to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.support.serving import served_steps
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.http.limits import STANDARD, Limits

STEPS = {
    "echo_step": """
    config = {"type": "api", "name": "Echo", "path": "/echo/:room", "websocket": True,
              "queryParams": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    async def handler(req, ctx):
        req.ws.on("message", lambda message: req.ws.send(message))
        await req.ws.send({"room": req.pathParams["room"], "n": req.query_params.get("n")})
    """,
    "count_step": """
    config = {"type": "api", "name": "Count", "path": "/count", "websocket": True}
    async def handler(req, ctx):
        async def add(message):
            seen = await ctx.state.get("counts", "n") or 0
            await ctx.state.set("counts", "n", seen + 1)
            await req.ws.send({"seen": seen + 1})
            if message == "fail":
                raise ValueError("secret text")
        async def left(code):
            await ctx.state.set("counts", "left", code)
        req.ws.on("message", add)
        req.ws.on("close", left)
    """,
    "loop_step": """
    config = {"type": "api", "name": "Loop", "path": "/loop", "websocket": True}
    async def handler(req, ctx):
        await ctx.state.set("loop", "opened", True)
        async for message in req.ws:
            await ctx.state.increment("loop", "n", int(message))
            await req.ws.send(str(await ctx.state.get("loop", "n")))
            if message == "0":
                break
        await ctx.state.set("loop", "ended", True)
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "path": "/private", "websocket": True,
              "middleware": ["authMiddleware"]}
    async def handler(req, ctx):
        await req.ws.send(req.user["userId"])
        await req.ws.close(4001, "done")
    """,
    "refuse_step": """
    from tidegate import HTTPError
    config = {"type": "api", "name": "Refuse", "path": "/refuse", "websocket": True}
    async def handler(req, ctx):
        await ctx.state.set("refused", "n", 1)
        raise HTTPError(409, "not now")
    """,
    "flood_step": """
    config = {"type": "api", "name": "Flood", "path": "/flood", "websocket": True}
    async def handler(req, ctx):
        async def flood(message):
            for _ in range(1000):
                await req.ws.send("x" * 1000)
        req.ws.on("message", flood)
    """,
    "chat_step": """
    config = {"type": "api", "name": "Chat", "path": "/chat", "websocket": True}
    peers = []
    async def handler(req, ctx):
        peers.append(req.ws)
        async def tell(message):
            await ctx.state.set("chat", "last", message)
            for peer in peers:
                await peer.send(message)
            if message == "fail":
                raise ValueError("secret text")
        req.ws.on("message", tell)
        req.ws.on("close", lambda: peers.remove(req.ws))
        await req.ws.send("welcome")
    """,
    "greedy_step": """
    config = {"type": "api", "name": "Greedy", "path": "/greedy", "websocket": True}
    async def handler(req, ctx):
        async def answer(message):
            for _ in range(40):
                await req.ws.send(b"x" * 1024 * 1024)
        req.ws.on("message", answer)
    """,
    "late_step": """
    import anyio
    config = {"type": "api", "name": "Late", "path": "/late", "websocket": True}
    async def handler(req, ctx, *, tasks):
        async def later():
            await anyio.sleep(0.1)
            try:
                await ctx.state.set("late", "n", 1)
            except RuntimeError as exc:
                await req.ws.send(str(exc))
        def begin(message):
            tasks.start_soon(later)
        req.ws.on("message", begin)
    """,
    "broken_step": """
    import asyncio
    import sys
    config = {"type": "api", "name": "Broken", "path": "/broken", "websocket": True, "timeout": 3}
    async def handler(req, ctx):
        if req.query_params.get("exit"):
            sys.exit(3)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
    """,
    "slow_step": """
    import anyio
    config = {"type": "api", "name": "Slow", "path": "/slow", "websocket": True, "timeout": 0.3}
    async def handler(req, ctx):
        async for message in req.ws:
            await anyio.sleep(60)
    """,
    "clash_step": """
    import anyio
    config = {"type": "api", "name": "Clash", "path": "/clash", "websocket": True}
    async def handler(req, ctx):
        async for message in req.ws:
            n = await ctx.state.get("clash", "n") or 0
            await anyio.sleep(0.3)
            await ctx.state.set("clash", "n", n + 1)
            await req.ws.send("done")
    """,
    "plain_step": """
    config = {"type": "api", "name": "Plain", "path": "/plain"}
    async def handler(req, ctx):
        return {"ok": True}
    """,
}


@asynccontextmanager
async def websocket_steps(
    tmp_path: Path, limits: Limits = STANDARD
) -> AsyncIterator[tuple[str, Engine]]:
    """Serve them; gives the URL and the engine behind it."""
    async with (
        anyio.create_task_group() as tasks,
        served_steps(tmp_path, STEPS, limits=limits, tasks=tasks) as (port, engine),
    ):
        yield f"ws://127.0.0.1:{port}", engine


async def state_of(engine: Engine, group: str, key: str) -> Any:
    """Return a value of the state."""

    async def get(ctx: Context) -> Any:
        return await ctx.state.get(group, key)

    return await engine.transact(get)


async def received(client: ClientConnection) -> Any:
    """Return the next message."""
    with anyio.fail_after(10):
        return await client.recv()


async def end_of(client: ClientConnection) -> tuple[int, str]:
    """Read on until the connection is closed; returns code and reason."""
    with anyio.fail_after(30):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as exc:
            return (exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else (1006, "")
