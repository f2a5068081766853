"""What a real InfluxDB adds to the port's promises: nothing is lost, whatever happens to it."""

import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.settings import TimeSeriesStore
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import (
    Latest,
    Page,
    PointsRejected,
    Series,
    SeriesQuery,
    StoreAway,
    TimeSeries,
)
from cloud.timeseries.remote import open_remote
from cloud.timeseries.servers.address import parse_address
from tests.support.influxd import Influxd, influxd_program
from tests.support.names import device_names, names, stored_values
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

T = TypeVar("T")

_ALWAYS = SeriesQuery(-(2**62), 2**62)
_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_DAY_MS = 86_400_000

_keys = st.builds(SeriesKey, device_names, device_names, names)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(_keys, stored_values, min_size=1, max_size=12))
def test_influx_returns_any_name(influxd: Influxd, points: dict[SeriesKey, Value]) -> None:
    """Every valid tenant, device and metric, every text and number, read whole and one by one."""

    async def round_trip() -> None:
        url = Secret(influxd.url(f"test_{secrets.token_hex(6)}"))
        async with open_timeseries(url, data_dir=Path()) as store:
            await store.write(PointBatch(list(points), [5] * len(points), list(points.values())))

            found = await store.read(_ALWAYS)
            latest = await store.latest()
            one = min(points)
            alone = await store.read(SeriesQuery(0, 10, *one))

        expected = [Series(key, [(5, points[key])]) for key in sorted(points)]
        assert found == expected
        assert [type(s.points[0][1]) for s in found] == [type(points[s.key]) for s in found]
        assert [(late.key, late.value) for late in latest] == [
            (series.key, series.points[0][1]) for series in expected
        ]
        assert alone == expected[:1]

    anyio.run(round_trip)


async def test_influx_reads_more_than_a_portion_holds(influx_url: str) -> None:
    """Answers are cut into portions of 10,000 rows; together they are everything, once."""
    count = 23_456
    batch = PointBatch([_KEY] * count, list(range(count)), [float(i) for i in range(count)])

    async with open_timeseries(Secret(influx_url), data_dir=Path()) as store:
        await store.write(batch)
        [whole] = await store.read(_ALWAYS)
        [stepped] = await store.read(SeriesQuery(0, count, step_ms=1, aggregate="max"))
        [cut] = await store.read(_ALWAYS, limit=12_345)

    assert whole.points == stepped.points == list(zip(batch.ts_ms, batch.values, strict=True))
    assert cut.points == whole.points[:12_345]


async def test_influx_bad_lines_cost_only_themselves(influxd: Influxd, influx_url: str) -> None:
    """What another writer made of another type, and what is older than is kept, are named."""
    database = influx_url.rpartition("/")[2]
    now_ms = 1_790_000_000_000
    other = _KEY._replace(metric=MetricName("other"))
    async with httpx.AsyncClient(base_url=influxd.http_url) as client:
        await client.post("/query", params={"q": f"CREATE DATABASE {database}"})
        line = f'telemetry,device=pump,tenant=acme other="text" {now_ms * 1_000_000}'
        await client.post("/write", params={"db": database}, content=line)
    series = [_KEY] * 999 + [other]

    async with open_timeseries(Secret(influx_url), data_dir=Path()) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(PointBatch(series, [now_ms + i for i in range(1_000)], [1.0] * 1_000))
        [stored] = await store.read(SeriesQuery(0, 2**62, *_KEY))

    assert list(refused.value.readings) == [999]
    assert "type conflict" in refused.value.readings[999]
    assert len(stored.points) == 999


async def test_influx_refuses_what_is_older_than_it_keeps(influx_url: str) -> None:
    """With a retention, old points are refused one by one and the new ones are stored."""
    now_ms = _now_ms()
    async with open_timeseries(
        Secret(influx_url), data_dir=Path(), settings=TimeSeriesStore(retention_days=2)
    ) as store:
        await store.write(PointBatch([_KEY], [now_ms], [0.0]))
        await store.tend(now_ms)
        times_ms = [now_ms - 9 * _DAY_MS, now_ms + 1, now_ms - 8 * _DAY_MS]
        with pytest.raises(PointsRejected) as refused:
            await store.write(PointBatch([_KEY] * 3, times_ms, [1.0, 2.0, 3.0]))
        [stored] = await store.read(_ALWAYS)

    assert sorted(refused.value.readings) == [0, 2]
    assert stored.points == [(now_ms, 0.0), (now_ms + 1, 2.0)]


async def test_influx_retention_follows_the_setting(influxd: Influxd, influx_url: str) -> None:
    """Made and changed in the database's own policy; without the setting it is left alone."""
    database = influx_url.rpartition("/")[2]
    seen = []
    for days in (30, 1, None, 400):
        async with open_timeseries(
            Secret(influx_url), data_dir=Path(), settings=TimeSeriesStore(retention_days=days)
        ) as store:
            await store.write(PointBatch([_KEY], [_now_ms()], [1.0]))
            await store.tend(0)
            await store.tend(1)
        async with httpx.AsyncClient(base_url=influxd.http_url) as client:
            params = {"q": f"SHOW RETENTION POLICIES ON {database}"}
            answer = (await client.get("/query", params=params)).json()
            seen.append(answer["results"][0]["series"][0]["values"][0][1:3])

    assert seen == [
        ["720h0m0s", "24h0m0s"],
        ["24h0m0s", "1h0m0s"],
        ["24h0m0s", "1h0m0s"],
        ["9600h0m0s", "168h0m0s"],
    ]


async def test_influx_leaves_out_what_others_write(influxd: Influxd, influx_url: str) -> None:
    """Lines without our tags, and values of other types, are no points of ours; nothing breaks."""
    lines = [
        "telemetry t=5 1000000",
        'telemetry,device=pump,tenant=acme note="text" 1000000',
        'states,device=pump,tenant=acme mode="no JSON",level=5 1000000',
    ]
    async with open_timeseries(Secret(influx_url), data_dir=Path()) as store:
        await store.write(PointBatch([_KEY], [1], [1.0]))
        async with httpx.AsyncClient(base_url=influxd.http_url) as client:
            params = {"db": influx_url.rpartition("/")[2]}
            for line in lines:
                (await client.post("/write", params=params, content=line)).raise_for_status()

        assert await store.read(_ALWAYS) == [Series(_KEY, [(1, 1.0)])]
        assert await store.latest() == [Latest(_KEY, 1, 1.0)]
        assert await store.page(_ALWAYS, limit=1) == Page([Series(_KEY, [(1, 1.0)])], None)


async def test_influx_away_at_the_start_is_waited_for(own_influxd: Influxd) -> None:
    """Opening connects to nothing; once the server is there, everything works."""
    own_influxd.stop()
    async with open_timeseries(Secret(own_influxd.url("db")), data_dir=Path()) as store:
        for call in (store.ping, store.latest):
            with pytest.raises(StoreAway):
                await call()

        own_influxd.start()
        await store.write(PointBatch([_KEY], [1], [1.0]))
        await store.ping()

        assert await store.read(_ALWAYS) == [Series(_KEY, [(1, 1.0)])]


async def test_influx_that_hangs_is_away_in_time(own_influxd: Influxd) -> None:
    """A paused server takes connections and answers nothing: every call ends, then it goes on."""
    address = parse_address(Secret(own_influxd.url("db")))
    async with open_remote(address, timeout_s=0.5) as store:
        await _patiently(lambda: store.write(PointBatch([_KEY], [1], [1.0])))

        own_influxd.pause()
        await _until_away(store)
        for call in (store.ping, store.latest, lambda: store.write(PointBatch([_KEY], [2], [2.0]))):
            with pytest.raises(StoreAway, match="does not answer in time"):
                await call()
        own_influxd.resume()
        await _patiently(lambda: store.write(PointBatch([_KEY], [2], [2.0])))

        found = await _patiently(lambda: store.read(_ALWAYS))
    assert found == [Series(_KEY, [(1, 1.0), (2, 2.0)])]


async def test_influx_killed_has_what_it_acknowledged(own_influxd: Influxd) -> None:
    """After SIGKILL every batch that was confirmed is there."""
    async with open_timeseries(Secret(own_influxd.url("db")), data_dir=Path()) as store:
        for ts_ms in range(20):
            await store.write(PointBatch([_KEY], [ts_ms], [float(ts_ms)]))
        own_influxd.kill()
        with pytest.raises(StoreAway):
            await store.write(PointBatch([_KEY], [99], [1.0]))
        own_influxd.start()

        assert await store.read(_ALWAYS) == [Series(_KEY, [(t, float(t)) for t in range(20)])]


async def test_influx_mixed_metrics_are_known_after_a_restart(influx_url: str) -> None:
    """Of two values of a point the later wins, also when another process wrote the first."""
    for value in ("on", 2.0, "off", 4.0):
        async with open_timeseries(Secret(influx_url), data_dir=Path()) as store:
            await store.write(PointBatch([_KEY], [1], [value]))
            assert await store.read(_ALWAYS) == [Series(_KEY, [(1, value)])]
            assert [one.value for one in await store.latest()] == [value]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate of 127.0.0.1 and its key, in one file."""
    key, cert, both = tmp_path / "key", tmp_path / "cert", tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=influx", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


async def test_influx_through_tls_is_checked(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to a server whose certificate nobody vouches for; `SSL_CERT_FILE` does."""
    with Influxd(influxd_program(), folder=tmp_path / "influxd", certificate=certificate) as server:
        url = Secret(server.url("db"))
        async with open_timeseries(url, data_dir=Path()) as store:
            with pytest.raises(StoreAway, match=r"(?i)certificate"):
                await store.write(PointBatch([_KEY], [1], [1.0]))

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with open_timeseries(url, data_dir=Path()) as store:
            await store.write(PointBatch([_KEY], [1], [1.0]))
            found = await store.read(_ALWAYS)

    assert found == [Series(_KEY, [(1, 1.0)])]


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the store is there, as its callers do: a busy machine is slow, too."""
    with anyio.fail_after(30):
        while True:
            try:
                return await call()
            except StoreAway:
                await anyio.sleep(0.05)


async def _until_away(store: TimeSeries) -> None:
    """Ping until nothing answers: a signal takes a moment to stop all threads of a server."""
    with anyio.fail_after(30), suppress(StoreAway):
        while True:
            await store.ping()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
