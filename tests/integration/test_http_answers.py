"""What handlers may answer, and what of it is checked before anything commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from prometheus_client import REGISTRY

from tests.support.serving import served_steps
from tests.support.steps import until
from tidegate.contract import Context
from tidegate.engine.engine import Engine

pytestmark = pytest.mark.anyio

ANSWERS = {
    "kinds_step": """
    import asyncio
    from datetime import datetime, UTC
    from decimal import Decimal
    from pathlib import Path
    import msgspec
    from starlette.responses import FileResponse
    class Point(msgspec.Struct):
        x: int
    class Model:
        def model_dump(self):
            return {"y": 2, "inner": Point(3)}
    async def pieces():
        yield "a"
        yield "b"
    async def cancelled_future():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future
    config = {"type": "api", "name": "Kinds", "path": "/kinds/:kind"}
    async def handler(req, ctx):
        await ctx.state.set("kinds", req.path_params["kind"], True)
        answer = {
            "none": lambda: None,
            "tuple": lambda: (202, {"a": 1}),
            "plain": lambda: [1, 2],
            "struct": lambda: Point(1),
            "model": lambda: (200, [Model()]),
            "exact": lambda: {"price": Decimal("1.10"), "at": datetime(2026, 1, 2, tzinfo=UTC)},
            "bytes": lambda: b"\\x00\\xff",
            "text": lambda: {"status": 200, "headers": {"Content-Type": "text/csv"}, "body": "a,b"},
            "file": lambda: Path(__file__),
            "nofile": lambda: Path(__file__).with_name("nothing.txt"),
            "folder": lambda: Path(__file__).parent,
            "noresponse": lambda: FileResponse(Path(__file__).with_name("nothing.txt")),
            "nan": lambda: {"price": Decimal("NaN")},
            "infinite": lambda: [Decimal("-Infinity")],
            "exactkey": lambda: {Decimal("1.10"): 1},
            "flagkey": lambda: {True: 1},
            "cancelled": lambda: cancelled_future(),
            "framing": lambda: {"status": 200, "body": 1, "headers": {
                "Content-Length": "99", "Transfer-Encoding": "chunked"}},
            "stream": lambda: (200, pieces()),
            "unsendable": lambda: {"a": object()},
            "nostatus": lambda: {"status": 99},
            "split": lambda: {"status": 200, "headers": {"X-A": "b\\r\\nX-C: d"}},
        }[req.path_params["kind"]]()
        return await answer if asyncio.iscoroutine(answer) else answer
    """,
    "lines_step": """
    config = {"type": "api", "name": "Lines", "path": "/lines"}
    async def handler(req, ctx):
        n = await ctx.state.increment("lines", "n")
        yield {"n": n}
        await ctx.state.increment("lines", "n")
        yield {"n": await ctx.state.get("lines", "n")}
        if req.query_params.get("fail"):
            await ctx.state.set("lines", "lost", True)
            raise ValueError("secret text")
    """,
    "early_step": """
    from tidegate import HTTPError
    config = {"type": "api", "name": "Early", "path": "/early"}
    async def handler(req, ctx):
        raise HTTPError(409, "before the first piece")
        yield b""
    """,
    "body_step": """
    config = {"type": "api", "name": "Body", "path": "/body"}
    async def handler(req, ctx, *, left):
        await ctx.state.set("body", "committed", True)
        async def events():
            try:
                n = 0
                while True:
                    n += 1
                    yield {"event": "tick", "data": {"n": n}}
                    if n == 2 and req.query_params.get("fail"):
                        raise ValueError("secret text")
                    if n > 2 and not req.query_params.get("endless"):
                        return
            finally:
                left.append(n)
        return {"status": 200, "headers": {"Content-Type": "text/event-stream"}, "body": events()}
    """,
    "promise_step": """
    config = {"type": "api", "name": "Promise", "path": "/promise", "responseSchema": {
        200: {"type": "object", "required": ["ok"]}, "404": {"type": "object"}}}
    async def handler(req, ctx):
        await ctx.state.set("promise", "n", 1)
        return {"status": int(req.query_params.get("status", 200)), "body": {"not": "ok"}}
    """,
    "put_step": """
    config = {"type": "api", "name": "Put", "method": "PUT", "path": "/kinds/:kind"}
    async def handler(req, ctx):
        return {}
    """,
}


@asynccontextmanager
async def _client(
    tmp_path: Path, *, check_answers: bool = False, left: list[int] | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Engine]]:
    async with (
        served_steps(
            tmp_path, ANSWERS, check_answers=check_answers, left=[] if left is None else left
        ) as (port, engine),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client, engine


async def _state(engine: Engine, group: str, key: str) -> Any:
    async def get(ctx: Context) -> Any:
        return await ctx.state.get(group, key)

    return await engine.transact(get)


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("none", 204, None, b""),
        ("tuple", 202, "application/json", b'{"a":1}'),
        ("plain", 200, "application/json", b"[1,2]"),
        ("struct", 200, "application/json", b'{"x":1}'),
        ("model", 200, "application/json", b'[{"y":2,"inner":{"x":3}}]'),
        ("exact", 200, "application/json", b'{"price":1.10,"at":"2026-01-02T00:00:00Z"}'),
        ("bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("text", 200, "text/csv", b"a,b"),
        ("stream", 200, "text/plain; charset=utf-8", b"ab"),
        ("framing", 200, "application/json", b"1"),
    ],
)
async def test_answers_of_every_kind(
    tmp_path: Path, kind: str, status: int, content_type: str | None, body: bytes
) -> None:
    """What the contract lists arrives as it was meant, with its type and its length."""
    async with _client(tmp_path) as (client, _):
        answer = await client.get(f"/kinds/{kind}")

    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-type") == content_type
    assert kind in ("none", "stream") or answer.headers["content-length"] == str(len(body))


async def test_answer_may_be_a_file(tmp_path: Path) -> None:
    """A path is the file's content; a part of it can be asked for."""
    async with _client(tmp_path) as (client, _):
        whole = await client.get("/kinds/file")
        part = await client.get("/kinds/file", headers={"Range": "bytes=0-3"})

    assert b"class Point" in whole.content
    assert (part.status_code, part.content) == (206, whole.content[:4])


@pytest.mark.parametrize(
    "kind",
    [
        "unsendable", "nostatus", "split", "nofile", "folder", "noresponse",
        "nan", "infinite", "exactkey", "flagkey", "cancelled",
    ],
)  # fmt: skip
async def test_answer_that_cannot_be_sent_commits_nothing(tmp_path: Path, kind: str) -> None:
    """An answer that is none is a 500, and the handler's writes are not applied."""
    async with _client(tmp_path) as (client, engine):
        answer = await client.get(f"/kinds/{kind}")
        written = await _state(engine, "kinds", kind)

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "x-c" not in answer.headers
    assert written is None


async def test_head_and_options(tmp_path: Path) -> None:
    """HEAD is GET without its body; OPTIONS says what a path knows."""
    async with _client(tmp_path) as (client, _):
        get = await client.get("/kinds/plain")
        head = await client.head("/kinds/plain")
        options = await client.options("/kinds/plain")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, PUT")


async def test_generator_handler_streams_and_commits_piece_by_piece(tmp_path: Path) -> None:
    """A handler that yields is a stream; what it did before a piece is committed with it."""
    async with _client(tmp_path) as (client, engine):
        plain = await client.get("/lines")
        events = await client.get("/lines", headers={"Accept": "text/event-stream"})
        total = await _state(engine, "lines", "n")

    assert plain.text == '{"n":1}\n{"n":2}\n'
    assert plain.headers["content-type"] == "application/x-ndjson"
    assert events.text == 'data: {"n":3}\n\ndata: {"n":4}\n\n'
    assert total == 4


async def test_generator_that_fails_breaks_its_connection_off(tmp_path: Path) -> None:
    """An error after the first piece is no end: the client sees it, and its part is not applied."""
    labels = {"step": "Lines", "why": "failed"}
    before = REGISTRY.get_sample_value("tidegate_http_streams_cut_total", labels) or 0
    async with _client(tmp_path) as (client, engine):
        received, broken = await _stream_of(client, "/lines?fail=1")
        lost = await _state(engine, "lines", "lost")
        kept = await _state(engine, "lines", "n")

    assert (received, broken) == (b'{"n":1}\n{"n":2}\n', True)
    assert (lost, kept) == (None, 2)
    assert REGISTRY.get_sample_value("tidegate_http_streams_cut_total", labels) == before + 1


async def test_generator_that_fails_at_once_is_a_problem(tmp_path: Path) -> None:
    """Before the first piece an error still has a status."""
    async with _client(tmp_path) as (client, _):
        answer = await client.get("/early")

    assert answer.status_code == 409


async def test_generators_read_and_write_without_races(tmp_path: Path) -> None:
    """The part before the first piece runs again on a conflict, as any handler does."""
    async with _client(tmp_path) as (client, engine):
        async with anyio.create_task_group() as tasks:
            for _ in range(16):
                tasks.start_soon(_first_piece, client)
        total = await _state(engine, "lines", "n")

    assert total >= 16


async def _stream_of(client: httpx.AsyncClient, path: str) -> tuple[bytes, bool]:
    """Return what came, and whether the connection broke off before the end."""
    received = b""
    try:
        async with client.stream("GET", path) as answer:
            async for piece in answer.aiter_bytes():
                received += piece
    except httpx.RemoteProtocolError:
        return received, True
    return received, False


async def _first_piece(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/lines") as answer:
        async for _ in answer.aiter_bytes():
            return


@pytest.mark.parametrize("query", ["", "?fail=1"])
async def test_body_generator_as_events(tmp_path: Path, query: str) -> None:
    """Pieces of an event stream are framed; an error breaks the connection off."""
    left: list[int] = []
    async with _client(tmp_path, left=left) as (client, engine):
        received, broken = await _stream_of(client, f"/body{query}")
        committed = await _state(engine, "body", "committed")

    assert received.startswith(b'event: tick\ndata: {"n":1}\n\nevent: tick\n')
    assert b"secret" not in received
    assert broken == bool(query)
    assert committed
    assert left == [2 if query else 3]


async def test_stream_ends_when_its_client_leaves(tmp_path: Path) -> None:
    """An endless stream is closed with its connection; its `finally` runs."""
    left: list[int] = []
    async with _client(tmp_path, left=left) as (client, _):
        async with client.stream("GET", "/body?endless=1") as answer:
            async for _ in answer.aiter_bytes():
                break

        await until(lambda: bool(left))

    assert len(left) == 1


async def test_broken_promise_is_told_in_development(tmp_path: Path) -> None:
    """An answer off its responseSchema is a 500 that says where, and commits nothing."""
    async with _client(tmp_path, check_answers=True) as (client, engine):
        broken = await client.get("/promise")
        written = await _state(engine, "promise", "n")
        fine = await client.get("/promise?status=404")
        free = await client.get("/promise?status=202")

    assert broken.status_code == 500
    assert "ok" in broken.json()["detail"]
    assert written is None
    assert (fine.status_code, free.status_code) == (404, 202)


async def test_broken_promise_is_kept_quiet_in_production(tmp_path: Path) -> None:
    """Without the check the answer leaves as it is."""
    async with _client(tmp_path) as (client, _):
        answer = await client.get("/promise")

    assert (answer.status_code, answer.json()) == (200, {"not": "ok"})
