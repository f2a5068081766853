"""`/write` and `/api/v2/write`: what InfluxDB's clients send is stored and answered."""

import base64
import gzip
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd

from cloud.timeseries.duckdb import DuckDB
from tests.support.ingest_http import ADMIN_TOKEN, FAN, PUMP, served_ingestion
from tests.support.ingestion import Flaky
from wire.codecs.checks import MAX_PAYLOAD_BYTES

pytestmark = pytest.mark.anyio

_LINES = b"m f=1,g=t 1700000000\nm f=2 1700000001"
_STORED = [("m.f", 1_700_000_000_000, 1.0), ("m.f", 1_700_000_001_000, 2.0)]


def _basic(password: str) -> dict[str, str]:
    coded = base64.b64encode(f"anybody:{password}".encode()).decode()
    return {"Authorization": f"Basic {coded}"}


@pytest.mark.parametrize("path", ["/write?db=x&rp=y&precision=s", "/api/v2/write?precision=s"])
async def test_influx_write_is_durable_when_answered(tmp_path: Path, path: str) -> None:
    """204 without a body, the points are in the store, under the token's device."""
    async with (
        DuckDB(tmp_path / "t.duckdb") as store,
        served_ingestion(tmp_path, store) as served,
        served.client("pump-token") as client,
    ):
        answer = await client.post(path, content=_LINES)

        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["x-influxdb-version"].startswith("1.8")
        assert [one for one in await served.run.points() if one[0] == "m.f"] == _STORED
        view = await served.run.ledger.view(PUMP)
        assert (view.stored, view.received) == (2, 2)


@pytest.mark.parametrize(
    ("path", "text"),
    [("/write", "error"), ("/api/v2/write", "message")],
)
async def test_influx_write_bad_line_costs_one_line(tmp_path: Path, path: str, text: str) -> None:
    """400 names the line, the others are stored, the bad one is a dead letter to be replayed."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        answer = await client.post(path, content=b"m f=1 1\nm secret= 2\nm f=3 3")

        assert answer.status_code == 400
        told = answer.json()[text]
        assert told == "partial write: line 2: field 1 is empty dropped=1"
        assert len(await served.run.points()) == 2
        (letter,) = await served.run.ledger.dead_letters()
        assert (letter.only, letter.device) == ([1], PUMP)
        assert letter.content_type == "application/x-influx-line-protocol;precision=ns"


async def test_influx_write_tells_errors_as_each_version_does(tmp_path: Path) -> None:
    """1.x: `error` and a header; 2.x: `code` and `message`."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        first = await client.post("/write", content="naïve".encode())
        second = await client.post("/api/v2/write", content=b"bad")

    assert first.json() == {"error": "nothing was written: line 1: line has no fields dropped=1"}
    assert first.headers["x-influxdb-error"] == first.json()["error"]
    assert second.json()["code"] == "invalid"
    assert second.json()["message"].startswith("nothing was written")


_WAYS: list[tuple[str, dict[str, str], int]] = [
    ("/write", {"Authorization": "Bearer pump-token"}, 204),
    ("/write", {"Authorization": "Token pump-token"}, 204),
    ("/write", _basic("pump-token"), 204),
    ("/write?u=x&p=pump-token", {}, 204),
    ("/write?u=x&p=wrong", {}, 401),
    ("/write?p=pump-token", {"Authorization": "Bearer wrong"}, 401),
    ("/write", _basic("wrong"), 401),
    ("/write", {"Authorization": "Basic ???"}, 401),
    ("/write", {}, 401),
    ("/write?tenant=acme&device=fan", {"Authorization": "Token pump-token"}, 403),
    ("/write?tenant=acme&device=fan", {"Authorization": f"Token {ADMIN_TOKEN}"}, 204),
    ("/write", {"Authorization": f"Token {ADMIN_TOKEN}"}, 400),
    ("/write?precision=s&precision=s", {"Authorization": "Token pump-token"}, 204),
    ("/write?precision=d", {"Authorization": "Token pump-token"}, 400),
    ("/api/v2/write?org=o&bucket=b", {"Authorization": "Token pump-token"}, 204),
    ("/api/v2/write", {"Authorization": "Bearer pump-token"}, 204),
    ("/api/v2/write?p=pump-token", {}, 401),
    ("/api/v2/write", {}, 401),
    ("/api/v2/write", {"Authorization": "Token wrong"}, 401),
    ("/api/v1/telemetry", _basic("pump-token"), 202),
    ("/api/v1/telemetry?p=pump-token", {}, 401),
]


@pytest.mark.parametrize(("path", "headers", "status"), _WAYS)
async def test_influx_write_credentials(
    tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    """A token comes in a header, as a password, or in the query of `/write` alone."""
    content = b'{"values": {"t": 1}}' if "telemetry" in path else b"m f=1"
    async with served_ingestion(tmp_path, Flaky()) as served, served.client() as client:
        answer = await client.post(path, headers=headers, content=content)
        stored = len(await served.run.points())

    assert answer.status_code == status
    assert stored == (1 if status < 300 else 0)
    if status == 401:
        assert "www-authenticate" in answer.headers


async def test_influx_write_never_logs_a_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a right nor a wrong one, wherever it stands."""
    caplog.set_level(logging.DEBUG, "tidegate")
    async with served_ingestion(tmp_path, Flaky()) as served, served.client() as client:
        for token in ("pump-token", "wrong-token"):
            await client.post("/write", params={"p": token}, content=b"m f=1\nbad")
            await client.post("/write", headers=_basic(token), content=b"m f=1\nbad")

    logged = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    said = "".join(capsys.readouterr()) + "".join(logged)
    assert "pump-token" not in said
    assert "wrong-token" not in said


@pytest.mark.parametrize("path", ["/write", "/api/v2/write", "/api/v1/telemetry"])
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
async def test_influx_write_unpacks_within_a_limit(tmp_path: Path, path: str, pack: Any) -> None:
    """A coded body is taken; one that is too large unpacked is 413 and costs no memory."""
    kind = {"Content-Type": "application/x-influx-line-protocol"}
    coded = kind | {"Content-Encoding": "gzip" if pack is gzip.compress else "zstd"}
    bomb = pack(b"#" * (40 * MAX_PAYLOAD_BYTES))
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        taken = await client.post(path, headers=coded, content=pack(b"m f=1"))
        large = await client.post(path, headers=coded, content=bomb)
        stored = [(name, value) for name, _, value in await served.run.points()]

    assert len(bomb) < MAX_PAYLOAD_BYTES
    assert taken.status_code in (202, 204)
    assert large.status_code == 413
    assert stored == [("m.f", 1.0)]


@pytest.mark.parametrize(
    ("coding", "content", "status"),
    [
        ("br", b"m f=1", 415),
        ("gzip, gzip", b"m f=1", 415),
        ("gzip", b"m f=1", 400),
        ("zstd", gzip.compress(b"m f=1", mtime=0), 400),
        ("gzip", gzip.compress(b"m f=1", mtime=0)[:-3], 400),
        ("identity", b"m f=1", 204),
        ("", b"#" * (MAX_PAYLOAD_BYTES + 1), 413),
    ],
)
async def test_influx_write_refuses_codings(
    tmp_path: Path, coding: str, content: bytes, status: int
) -> None:
    """An unknown coding is 415, one that is not what it says 400."""
    headers = {"Content-Encoding": coding} if coding else {}
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        answer = await client.post("/write", headers=headers, content=content)

    assert answer.status_code == status


async def test_influx_write_too_large_is_refused_unread(tmp_path: Path) -> None:
    """Who says how much will come is refused before it comes."""

    async def endless() -> Any:
        yield b"m f=1\n"
        raise AssertionError("the body was read")

    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        headers = {"Content-Length": str(MAX_PAYLOAD_BYTES + 1)}
        request = httpx.Request("POST", "http://here/write", headers=headers, content=endless())
        request.headers["authorization"] = "Token pump-token"
        answer = await client.send(request)

    assert answer.status_code == 413


async def test_influx_write_store_away_is_503_with_retry_after(tmp_path: Path) -> None:
    """The client comes again: nothing was kept."""
    store = Flaky()
    async with served_ingestion(tmp_path, store) as served, served.client("pump-token") as client:
        served.run.service.gateway.timeout_s = 0.2
        store.away = True
        first = await client.post("/write", content=b"m f=1 1")
        second = await client.post("/api/v2/write", content=b"m f=1 1")
        store.away = False

    assert [first.status_code, second.status_code] == [503, 503]
    assert first.headers["retry-after"] == second.headers["retry-after"] == "1"
    assert second.json()["code"] == "unavailable"


async def test_influx_write_keeps_lines_of_other_tags_and_nanoseconds(tmp_path: Path) -> None:
    """Nothing overwrites anything; the same lines again change nothing."""
    lines = (
        b"cpu,cpu=cpu0,host=a usage=1 1000000\ncpu,cpu=cpu1,host=a usage=2 1000000\n"
        b"m,host=a f=1 1000000\nm,host=b f=2 1000000\nm,host=a f=3 1000007"
    )
    async with (
        DuckDB(tmp_path / "t.duckdb") as store,
        served_ingestion(tmp_path, store) as served,
        served.client("fan-token") as client,
    ):
        for _ in range(2):
            assert (await client.post("/write", content=lines)).status_code == 204
        points = await served.run.points()

        assert sorted(points) == [
            ("cpu.usage{cpu=cpu0}", 1, 1.0),
            ("cpu.usage{cpu=cpu1}", 1, 2.0),
            ("m.f", 1, 1.0),
            ("m.f", 1, 2.0),
            ("m.f", 1, 3.0),
        ]
        view = await served.run.ledger.view(FAN)
        assert (view.stored, view.duplicate) == (5, 5)


async def test_influx_ping_says_a_version(tmp_path: Path) -> None:
    """Everybody may ask, by GET and HEAD."""
    async with served_ingestion(tmp_path, Flaky()) as served, served.client() as client:
        answers = [await client.request(method, "/ping") for method in ("GET", "HEAD")]
        verbose = await client.get("/ping?verbose=true")

    assert [answer.status_code for answer in answers] == [204, 204]
    assert all(answer.headers["x-influxdb-version"] for answer in answers)
    assert verbose.json() == {"version": answers[0].headers["x-influxdb-version"]}


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ('CREATE DATABASE "telegraf"', 200),
        ("create  database x WITH DURATION 30d", 200),
        ("DROP DATABASE x", 400),
        ("SELECT * FROM x", 400),
        ("", 400),
    ],
)
async def test_influx_query_agrees_to_create_database(
    tmp_path: Path, statement: str, status: int
) -> None:
    """Telegraf sends it as a form when it starts; whoever has no token is refused."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
        served.client() as stranger,
    ):
        answer = await client.post("/query", data={"q": statement})
        refused = await stranger.post("/query", data={"q": statement})

    assert answer.status_code == status
    assert refused.status_code == 401
    assert answer.json() == {"results": [{"statement_id": 0}]} or "error" in answer.json()
