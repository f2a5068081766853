"""What a handler is given: parameters, bodies, forms, models; what of it is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.serving import served_steps

pytestmark = pytest.mark.anyio

STEPS = {
    "query_step": """
    config = {"type": "api", "name": "Query", "path": "/query", "queryParams": {
        "type": "object", "additionalProperties": False, "properties": {
            "n": {"type": "integer"}, "f": {"type": "number"}, "b": {"type": "boolean"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"type": "integer"}}, "s": {"type": "string"}}}}
    async def handler(req, ctx):
        return req.queryParams
    """,
    "struct_query_step": """
    import msgspec
    class Page(msgspec.Struct, forbid_unknown_fields=True):
        limit: int = 10
        tags: list[str] = []
    config = {"type": "api", "name": "StructQuery", "path": "/structs", "queryParams": Page}
    async def handler(req, ctx):
        return {"limit": req.query_params.limit, "tags": req.query_params.tags}
    """,
    "model_step": """
    from pydantic import BaseModel
    class Order(BaseModel):
        item: str
        count: int = 1
    config = {"type": "api", "name": "Model", "method": "POST", "path": "/model",
              "bodySchema": Order, "queryParams": Order}
    async def handler(req, ctx):
        assert isinstance(req.body, Order)
        return {"status": 201, "body": {"body": req.body, "query": req.query_params}}
    """,
    "form_step": """
    config = {"type": "api", "name": "Form", "method": "POST", "path": "/form"}
    async def handler(req, ctx):
        seen = await ctx.state.increment("form", "n")
        files = {name: {"filename": file.filename, "type": file.content_type,
                        "size": file.size, "text": (await file.read()).decode()}
                 for name, file in req.files.items()}
        return {"files": files, "body": req.body, "seen": seen}
    """,
    "show_thing_step": """
    config = {"type": "api", "name": "ShowThing", "path": "/things/:name/of/:owner"}
    async def handler(req, ctx):
        return req.path_params
    """,
    "drop_thing_step": """
    config = {"type": "api", "name": "DropThing", "method": "DELETE",
              "path": "/things/:thing/of/:name"}
    async def handler(req, ctx):
        return req.path_params
    """,
    "splat_step": """
    config = {"type": "api", "name": "Splat", "path": "/files/:name/*"}
    async def handler(req, ctx):
        return [req.pathParams["name"], req.pathParams[0], req.path_params["0"]]
    """,
    "changed_step": """
    async def mark(req, ctx, next):
        req.pathParams = {"id": "changed"}
        req.tenant = "acme"
        answer = await next()
        return {**answer, "wrapped": "queryParams" in req and "nothing" not in req}
    config = {"type": "api", "name": "Changed", "path": "/changed/:id", "middleware": [mark, "own"]}
    async def handler(req, ctx):
        parts = sorted(req)
        return {"id": req.path_params["id"], "tenant": req.tenant, "parts": parts}
    """,
    "step_globals": """
    async def own(req, ctx, next):
        return await next()
    """,
    "body_step": """
    config = {"type": "api", "name": "Body", "method": "POST", "path": "/body",
              "bodySchema": {"type": "object"}}
    async def handler(req, ctx):
        return req.body
    """,
    "sync_step": """
    config = {"type": "api", "name": "Sync", "path": "/sync"}
    def handler(req, ctx):
        return {"agent": req.headers["x-a"], "cookie": req.cookies["c"]}
    """,
}


@asynccontextmanager
async def _client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served_steps(tmp_path, STEPS) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_query_is_typed(tmp_path: Path) -> None:
    """Texts become the declared types; a repeated parameter becomes a declared array."""
    async with _client(tmp_path) as client:
        many = await client.get("/query?n=5&f=1.5&b=true&maybe=3&tags=1&tags=2&s=7")
        one = await client.get("/query?tags=1")
        struct = await client.get("/structs?limit=3&tags=a&tags=b")

    assert many.json() == {"n": 5, "f": 1.5, "b": True, "maybe": 3, "tags": [1, 2], "s": "7"}
    assert one.json() == {"tags": [1]}
    assert struct.json() == {"limit": 3, "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("/query?n=x", "/n"),
        ("/query?n=1_0", "/n"),
        ("/query?n=%EF%BC%91", "/n"),
        ("/query?n=1.5", "/n"),
        ("/query?f=nan", "/f"),
        ("/query?f=inf", "/f"),
        ("/query?b=yes", "/b"),
        ("/query?tags=1&tags=x", "/tags/1"),
        ("/query?other=1", ""),
        ("/structs?limit=x", "/limit"),
    ],
)
async def test_wrong_query_is_422(tmp_path: Path, query: str, pointer: str) -> None:
    """What does not convert is refused, with a pointer to it."""
    async with _client(tmp_path) as client:
        answer = await client.get(query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_models_check_and_arrive(tmp_path: Path) -> None:
    """A pydantic model is a schema: the handler gets an instance, and may answer with it."""
    async with _client(tmp_path) as client:
        right = await client.post("/model?item=cup&count=2", json={"item": "pot"})
        wrong = await client.post("/model?item=cup", json={"item": 1, "count": "x"})

    assert right.status_code == 201
    assert right.json() == {
        "body": {"item": "pot", "count": 1},
        "query": {"item": "cup", "count": 2},
    }
    assert wrong.status_code == 422
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/item", "/count"]


async def test_files_and_fields_of_a_form(tmp_path: Path) -> None:
    """Files have name, type and content, the other fields are in the body."""
    async with _client(tmp_path) as client:
        file = ("a.csv", b"1,2", "text/csv")
        answer = await client.post("/form", files={"up": file}, data={"note": "hi"})
        plain = await client.post("/form", data={"a": "1", "b": "x y"})
        broken = await client.post(
            "/form", content=b"--x", headers={"content-type": "multipart/form-data"}
        )

    expected = {"filename": "a.csv", "type": "text/csv", "size": 3, "text": "1,2"}
    assert answer.json()["files"] == {"up": expected}
    assert answer.json()["body"] == {"note": "hi"}
    assert plain.json()["body"] == {"a": "1", "b": "x y"}
    assert broken.status_code == 400


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/files/a/b/c", ["a", "b/c", "b/c"]),
        ("/files/a%2Fb/c", ["a/b", "c", "c"]),
        ("/files/%C3%A4%20%25/", ["ä %", "", ""]),
        ("/files/a/%2Fx%2f", ["a", "/x/", "/x/"]),
    ],
)
async def test_path_parameters_are_decoded(tmp_path: Path, path: str, seen: list[str]) -> None:
    """An encoded slash belongs to the parameter that it stands in."""
    async with _client(tmp_path) as client:
        answer = await client.get(path)

    assert answer.json() == seen


async def test_middleware_changes_the_request_and_wraps_the_answer(tmp_path: Path) -> None:
    """A part that is set by one of its names reads by the other; the parts can be listed."""
    async with _client(tmp_path) as client:
        answer = (await client.get("/changed/1")).json()

    assert (answer["id"], answer["tenant"], answer["wrapped"]) == ("changed", "acme", True)
    assert {"body", "cookies", "headers", "path_params", "user", "ws"} <= set(answer["parts"])


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"a":1}', "application/json", 200),
        (b'{"a":1}', "application/problem+json; charset=utf-8", 200),
        (b'{"a":NaN}', "application/json", 400),
        (b'{"a":Infinity}', "application/json", 400),
        (b'{"a":1e999}', "application/json", 400),
        (b'{"a":"\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 422),
        (b"{}", "text/plain", 422),
        (b"a=1", "application/x-www-form-urlencoded", 200),
    ],
)
async def test_bodies(tmp_path: Path, content: bytes, kind: str, status: int) -> None:
    """What is no JSON is 400, what is due and does not fit is 422."""
    async with _client(tmp_path) as client:
        answer = await client.post("/body", content=content, headers={"content-type": kind})

    assert answer.status_code == status


async def test_plain_handlers_see_the_same(tmp_path: Path) -> None:
    """A plain `def` runs in a thread, with the same request; a repeated header is joined."""
    headers = [("X-A", "1"), ("x-a", "2"), ("cookie", "c=d")]
    async with _client(tmp_path) as client:
        answer = await client.get("/sync", headers=headers)

    assert answer.json() == {"agent": "1, 2", "cookie": "d"}


async def test_files_are_whole_in_every_run(tmp_path: Path) -> None:
    """A handler that runs again on a conflict reads its file from the start."""
    sizes: list[int] = []

    async def post(client: httpx.AsyncClient) -> None:
        answer = await client.post("/form", files={"up": ("a", b"1,2", "text/csv")})
        sizes.append(len(answer.json()["files"]["up"]["text"]))

    async with _client(tmp_path) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(post, client)
        last = await client.post("/form", data={})

    assert sizes == [3] * 20
    assert last.json()["seen"] == 21


async def test_http_one_path_may_name_its_parameters_differently(tmp_path: Path) -> None:
    """Steps whose paths differ in names only share the path; each gets the names it wrote."""
    async with _client(tmp_path) as client:
        shown = await client.get("/things/a%2Fb/of/c")
        dropped = await client.delete("/things/a/of/c")
        refused = await client.put("/things/a/of/c")

    assert shown.json() == {"name": "a/b", "owner": "c"}
    assert dropped.json() == {"thing": "a", "name": "c"}
    assert refused.headers["allow"] == "DELETE, GET, HEAD"
