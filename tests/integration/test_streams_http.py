"""Streams over HTTP: what they tell, and whom they refuse."""

import json

import httpx
import pytest

from tests.support.stream_log import change
from tests.support.streams_server import (
    WAIT_S,
    events,
    followed,
    served,
)

pytestmark = pytest.mark.anyio


async def test_events_are_the_snapshot_then_changes() -> None:
    """An event has number, type and JSON; the first says when to come again."""
    async with served() as server:
        server.write(change("a", b"1.50"))
        async with events(server) as stream:
            retry, first = await anext(stream), await anext(stream)
            server.write(
                change("b", '{"x": "\\n\\r\u2028\u2029\x85"}'.encode()),
                change("a", None, kind="delete"),
                change(None, b'"hi"', kind="event"),
            )
            later = [await anext(stream) for _ in range(3)]

    assert retry == {"retry": "2000"}
    assert (first["id"], first["event"]) == ("1", "snapshot")
    assert json.loads(first["data"]) == {
        "seq": 1, "type": "snapshot", "id": None, "data": {"a": 1.5},
    }  # fmt: skip
    assert [(event["id"], event["event"]) for event in later] == [
        ("2", "set"), ("3", "delete"), ("4", "event"),
    ]  # fmt: skip
    assert [json.loads(event["data"]) for event in later] == [
        {"seq": 2, "type": "set", "id": "b", "data": {"x": "\n\r\u2028\u2029\x85"}},
        {"seq": 3, "type": "delete", "id": "a", "data": None},
        {"seq": 4, "type": "event", "id": None, "data": "hi"},
    ]


async def test_events_go_on_after_a_number() -> None:
    """`Last-Event-ID` and `?after=` resume; the header is newer than the query."""
    async with served() as server:
        server.write(*(change(f"k{n}", b"1") for n in range(5)))
        async with events(server, "game/g?after=3") as by_query:
            assert "retry" in await anext(by_query)
            after_query = await anext(by_query)
        async with events(server, "game/g?after=1", **{"Last-Event-ID": "4"}) as by_header:
            assert "retry" in await anext(by_header)
            after_header = await anext(by_header)

    assert (after_query["id"], after_query["event"]) == ("4", "set")
    assert (after_header["id"], after_header["event"]) == ("5", "set")


async def test_events_of_a_silent_group_keep_the_connection() -> None:
    """A comment now and then tells everybody between us that the connection lives."""
    async with served() as server, events(server) as stream:
        assert "retry" in await anext(stream)
        assert (await anext(stream))["event"] == "snapshot"
        comments = [await anext(stream) for _ in range(2)]
        server.write(change("a", b"1"))
        event = await anext(stream)
        while "event" not in event:
            event = await anext(stream)

    assert comments == [{"comment": "still here"}] * 2
    assert event["id"] == "1"


@pytest.mark.parametrize("path", ["a%2Fb/%2B%23%25%20%C3%A9", "game/"])
async def test_streams_have_any_name(path: str) -> None:
    """Names are percent-encoded, so a slash in one is no boundary; a group may be empty."""
    name, group = ("a/b", "+#% é") if "%" in path else ("game", "")

    async with served() as server:
        server.write(change("k", b"7", name=name, group=group))
        async with events(server, path) as stream, followed(server, path) as socket:
            assert "retry" in await anext(stream)
            told = [json.loads((await anext(stream))["data"]), json.loads(await socket.text())]

    assert told == [{"seq": 1, "type": "snapshot", "id": None, "data": {"k": 7}}] * 2
    assert [asked[-2:] for asked in server.asked] == [(name, group)] * 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("game", 404), ("game/g/more", 404), ("%FF/g", 400), ("game/g?after=x", 400),
        ("a%00b/g", 400), ("game/%00", 400),
        ("game/g?after=-1", 400), ("game/forbidden", 403),
    ],
)  # fmt: skip
async def test_streams_refuse_with_a_reason(path: str, status: int) -> None:
    """What is wrong with a request is a problem document, for WebSockets too."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        answer = await client.get(f"{server.url}/{path}", headers={"Authorization": "secret"})
        async with followed(server, path) as socket:
            refused = (socket.status, json.loads(socket.body)["status"])

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert refused == (status, status)


async def test_streams_are_not_for_strangers() -> None:
    """Without token or cookie it is 401; a cookie is enough, as browsers have no other way."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        answer = await client.get(f"{server.url}/game/g")
        async with followed(server, Authorization="wrong") as socket:
            refused = socket.status
        async with followed(server, Cookie="session=secret") as socket:
            told = json.loads(await socket.text())

    assert (answer.status_code, refused) == (401, 401)
    assert told["type"] == "snapshot"


async def test_streams_without_a_database_are_503() -> None:
    """When nobody can be looked up the client is told to come again."""
    async with served() as server, httpx.AsyncClient(timeout=WAIT_S) as client:
        server.away = True
        answer = await client.get(f"{server.url}/game/g")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_websocket_tells_the_same_frames() -> None:
    """One JSON text for each frame; `?after=` resumes; what the client says changes nothing."""
    async with served() as server:
        server.write(change("a", b"1"))
        async with followed(server) as socket:
            await socket.send_text("hello?")
            first = json.loads(await socket.text())
            server.write(change("b", b"2"))
            second = json.loads(await socket.text())
        async with followed(server, "game/g?after=1") as again:
            resumed = json.loads(await again.text())

    assert first == {"seq": 1, "type": "snapshot", "id": None, "data": {"a": 1}}
    assert second == {"seq": 2, "type": "set", "id": "b", "data": 2}
    assert resumed == second
