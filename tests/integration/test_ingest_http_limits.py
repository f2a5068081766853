"""How often one token and one address may send over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.settings import IngestHttp
from tests.support.ingest_http import ADMIN_TOKEN, served_ingestion
from tests.support.ingestion import Flaky

pytestmark = pytest.mark.anyio

_GOOD = b'{"values": {"t": 1}}'
_LIMITS = IngestHttp(
    per_token_per_s=0.5, per_token_burst=2, per_address_per_s=1, per_address_burst=4
)


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_limits_by_token_come_back_with_time(tmp_path: Path) -> None:
    """429 says when; another token is not touched, and time gives new ones."""
    clock = _Clock()
    async with (
        served_ingestion(tmp_path, Flaky(), limits=_LIMITS, now_s=clock) as served,
        served.client("pump-token") as client,
        served.client("fan-token", address="10.0.0.2") as other,
    ):
        statuses = [
            (await client.post("/api/v1/telemetry", content=_GOOD)).status_code for _ in range(2)
        ]
        refused = await client.post("/api/v1/telemetry", content=_GOOD)
        statuses.append((await other.post("/api/v1/telemetry", content=_GOOD)).status_code)
        clock.now_s += 2.0
        statuses.append((await client.post("/api/v1/telemetry", content=_GOOD)).status_code)

        assert statuses == [202] * 4
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert served.run.number("refused_rate_total", by="token") == 1


async def test_limits_by_address_hold_before_anybody_is_known(tmp_path: Path) -> None:
    """Whoever guesses tokens is stopped too; the administrator has no limit by token."""
    clock = _Clock()
    async with (
        served_ingestion(tmp_path, Flaky(), limits=_LIMITS, now_s=clock) as served,
        served.client("guess") as stranger,
        served.client(ADMIN_TOKEN, address="10.0.0.2") as admin,
    ):
        wrong = [(await stranger.post("/write", content=b"m f=1")).status_code for _ in range(5)]
        influx = await stranger.post("/api/v2/write", content=b"m f=1")
        path = "/write?tenant=acme&device=pump"
        right = [(await admin.post(path, content=b"m f=1")).status_code for _ in range(4)]

        # Clients of InfluxDB 1.x would drop what a 429 refuses.
        assert wrong == [401] * 4 + [503]
        assert (influx.status_code, influx.headers["retry-after"]) == (429, "1")
        assert influx.json()["code"] == "too many requests"
        assert right == [204] * 4
        assert served.run.number("refused_rate_total", by="address") == 2


async def test_limits_refuse_before_the_body_is_read(tmp_path: Path) -> None:
    """What will be refused anyway is not waited for."""
    limits = IngestHttp(per_token_burst=1, per_token_per_s=0.001)
    async with (
        served_ingestion(tmp_path, Flaky(), limits=limits) as served,
        served.client("pump-token") as client,
    ):
        read: list[bool] = []

        async def body() -> AsyncIterator[bytes]:
            read.append(True)
            yield _GOOD

        await client.post("/api/v1/telemetry", content=_GOOD)
        refused = await client.post("/api/v1/telemetry", content=body())

    assert refused.status_code == 429
    assert read == []
