"""Api steps over HTTP: routing, validation, answers, problems, who may call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client import REGISTRY

from tests.support.steps import running_engine
from tidegate.auth.middleware import Authenticator, named_middlewares
from tidegate.auth.users import Users
from tidegate.errors import HTTPError
from tidegate.http.routes import routes
from tidegate.http.server import make_app

pytestmark = pytest.mark.anyio

STEPS = {
    "show_step": """
    config = {"type": "api", "name": "Show", "method": "GET", "path": "/items/:itemId/*"}
    async def handler(req, ctx):
        return {"status": 200, "body": {"id": req.pathParams["itemId"], "rest": req.path_params[0]}}
    """,
    "exact_step": """
    config = {"type": "api", "name": "Exact", "method": "GET", "path": "/items/first/of"}
    async def handler():
        return {"exact": True}
    """,
    "add_step": """
    from decimal import Decimal
    config = {"type": "api", "name": "Add", "method": "POST", "path": "/items",
              "bodySchema": {"type": "object", "required": ["n"],
                             "properties": {"n": {"type": "integer"}}}}
    async def handler(req, ctx):
        total = await ctx.state.increment("items", "total", req.body["n"])
        headers = {"Set-Cookie": ["a=1", "b=2"]}
        body = {"total": total, "price": Decimal("1.10")}
        return {"status": 201, "headers": headers, "body": body}
    """,
    "query_step": """
    config = {"type": "api", "name": "Query", "method": "GET", "path": "/query",
              "queryParams": {"type": "object", "properties": {"limit": {"type": "integer"}}}}
    async def handler(req, ctx):
        return (200, req.query_params)
    """,
    "stream_step": """
    config = {"type": "api", "name": "Stream", "method": "GET", "path": "/stream"}
    async def lines():
        yield "data: 1\\n\\n"
        yield "data: 2\\n\\n"
    async def handler(req, ctx):
        return {"status": 200, "headers": {"Content-Type": "text/event-stream"}, "body": lines()}
    """,
    "crash_step": """
    config = {"type": "api", "name": "Crash", "method": "GET", "path": "/crash"}
    async def handler(req, ctx):
        await ctx.state.set("items", "total", -1)
        raise ValueError("secret text")
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "method": "POST", "path": "/private",
              "middleware": ["adminMiddleware"]}
    async def handler(req, ctx):
        return {"user": req.user["userId"]}
    """,
    "page_step": """
    config = {"type": "api", "name": "Page", "method": "GET", "path": "/page",
              "middleware": ["pageMiddleware"]}
    async def handler(req, ctx):
        return {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>"}
    """,
}
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def client_of(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Users]]:
    """Serve the steps in process."""
    async with running_engine(tmp_path, STEPS) as engine:
        users = Users(engine)
        devices = {"dev": {"tenant": "t", "device": "d"}}
        known = Authenticator(users, admin_token="adm", device_of_token=devices.get)
        app = make_app(routes(engine, named_middlewares(known)))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            yield client, users


async def test_http_routes_by_path_and_method(tmp_path: Path) -> None:
    """Parameters and the splat arrive; an exact path wins; a wrong method is 405 with Allow."""
    async with client_of(tmp_path) as (client, _):
        shown = await client.get("/items/a%20b/x/y")
        exact = await client.get("/items/first/of")
        wrong = await client.delete("/items")
        nowhere = await client.get("/nowhere")

    assert shown.json() == {"id": "a b", "rest": "x/y"}
    assert exact.json() == {"exact": True}
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.headers["content-type"] == "application/problem+json"
    assert nowhere.status_code == 404


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b"{", 400, None),
        (b'{"n": NaN}', 400, None),
        (b'{"n": "1"}', 422, "/n"),
        (b"{}", 422, ""),
        (b"", 422, ""),
    ],
)
async def test_http_bad_bodies_never_reach_the_handler(
    tmp_path: Path, content: bytes, status: int, pointer: str | None
) -> None:
    """Malformed JSON is 400, JSON off the schema 422 with a pointer; the state stays."""
    async with client_of(tmp_path) as (client, _):
        refused = await client.post("/items", content=content, headers=JSON)
        total = (await client.post("/items", json={"n": 1})).json()["total"]

    assert refused.status_code == status
    assert total == 1
    if pointer is not None:
        assert refused.json()["errors"][0]["pointer"] == pointer


async def test_http_answers_keep_cookies_and_decimals(tmp_path: Path) -> None:
    """Several cookies leave as several headers; a Decimal leaves as an exact number."""
    async with client_of(tmp_path) as (client, _):
        answer = await client.post("/items", json={"n": 2})

    assert answer.status_code == 201
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.text == '{"total":2,"price":1.10}'


async def test_http_query_is_converted_or_refused(tmp_path: Path) -> None:
    """A declared integer arrives as one; a text that is none is 422."""
    async with client_of(tmp_path) as (client, _):
        right = await client.get("/query?limit=5&other=x")
        wrong = await client.get("/query?limit=five")

    assert right.json() == {"limit": 5, "other": "x"}
    assert wrong.status_code == 422


async def test_http_streams(tmp_path: Path) -> None:
    """An async generator is sent piece by piece with the given type."""
    async with client_of(tmp_path) as (client, _):
        answer = await client.get("/stream")

    assert answer.text == "data: 1\n\ndata: 2\n\n"
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_http_crash_tells_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """A handler's bug is a 500 without its text, and its writes are not applied."""
    async with client_of(tmp_path) as (client, _):
        crashed = await client.get("/crash")
        total = (await client.post("/items", json={"n": 1})).json()["total"]

    assert crashed.status_code == 500
    assert "secret" not in crashed.text
    assert total == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer dev"}, 403),
        ({"authorization": "Bearer adm"}, 200),
        ({"authorization": "Token adm"}, 200),
    ],
)
async def test_http_tokens_open_what_is_theirs(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """No token is 401, a device's is 403, the administrator's opens."""
    async with client_of(tmp_path) as (client, _):
        answer = await client.post("/private", headers=headers)

    assert answer.status_code == status


async def test_http_session_needs_the_same_origin_to_change(tmp_path: Path) -> None:
    """A cookie opens pages; a request from another site's page changes nothing with it."""
    async with client_of(tmp_path) as (client, users):
        await users.set_password("ada", "right-password", roles=("admin",))
        assert await users.login("ada", "no") is None
        token = await users.login("ada", "right-password")
        outside = await client.get("/page")
        client.cookies.set("tidegate_session", token or "")
        page = await client.get("/page")
        foreign = await client.post("/private", headers={"origin": "http://evil"})
        own = await client.post("/private", headers={"origin": "http://here"})
        await users.logout(token or "")
        ended = await client.post("/private")

    assert (outside.status_code, outside.headers["location"]) == (303, "/login?next=/page")
    assert page.status_code == 200
    assert [answer.status_code for answer in (foreign, own, ended)] == [403, 200, 401]


async def test_http_login_is_slowed_after_ten_failures(tmp_path: Path) -> None:
    """The eleventh guess from one address is refused, whatever it is; others still get in."""
    async with client_of(tmp_path) as (_, users):
        await users.set_password("ada", "right-password", roles=("admin",))
        guesses: list[Any] = [await users.login("ada", "no", client="a") for _ in range(10)]

        with pytest.raises(HTTPError, match="too many failed logins"):
            await users.login("ada", "right-password", client="a")
        elsewhere = await users.login("ada", "right-password", client="b")

    assert guesses == [None] * 10
    assert elsewhere is not None


async def test_http_refuses_a_stranger_before_reading_his_body(tmp_path: Path) -> None:
    """Who may not call is answered at once: not a byte of the body is waited for."""

    async def endless() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    async with client_of(tmp_path) as (client, _):
        with anyio.fail_after(5):
            answer = await client.post("/private", content=endless())

    assert answer.status_code == 401


async def test_http_page_asks_to_come_back_to_the_whole_address(tmp_path: Path) -> None:
    """The way back after the login keeps query and encoded characters."""
    async with client_of(tmp_path) as (client, _):
        answer = await client.get("/page?q=a%20b%26c")

    assert answer.headers["location"] == "/login?next=/page%3Fq%3Da%2520b%2526c"


async def test_http_counts_what_it_refuses(tmp_path: Path) -> None:
    """A wrong token is refused, and seen in the counts by its status."""
    labels = {"step": "Private", "status": "401"}

    async with client_of(tmp_path) as (client, _):
        before = REGISTRY.get_sample_value("tidegate_http_answers_total", labels) or 0
        await client.post("/private", headers={"authorization": "Bearer wrong"})
        after = REGISTRY.get_sample_value("tidegate_http_answers_total", labels)

    assert after == before + 1
