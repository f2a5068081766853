"""What an InfluxDB's answers to a write cost: one line for one bad line, nothing for the rest."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from cloud.settings import TimeSeriesStore
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import (
    PointsRejected,
    SeriesQuery,
    StoreAway,
    TimeSeries,
    Unsupported,
)
from tests.support.influx_codes import Codes, Fault, influx_codes
from tidegate.configuration import Secret
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_BAD = SeriesKey(TenantId("acme"), DeviceId("bad"), MetricName("t"))


@pytest.fixture(params=["1.8.10", "2.7.1", "3.1.0"])
def codes(request: pytest.FixtureRequest) -> Iterator[Codes]:
    """Run a server of each version."""
    with influx_codes(request.param) as running:
        yield running


@pytest.fixture
def codes2() -> Iterator[Codes]:
    """Run a server of version 2."""
    with influx_codes("2.7.1") as running:
        yield running


def _opened(
    codes: Codes, *, retention_days: int | None = None
) -> AbstractAsyncContextManager[TimeSeries]:
    url = Secret(codes.url())
    return open_timeseries(
        url, data_dir=Path(), settings=TimeSeriesStore(retention_days=retention_days)
    )


def _batch(count: int, *, bad: tuple[int, ...] = ()) -> PointBatch:
    series = [_BAD if index in bad else _KEY for index in range(count)]
    return PointBatch(series, list(range(count)), [1.0] * count)


async def test_codes_good_batch_is_stored_once(codes: Codes) -> None:
    """Every version takes it at its own path, with its own kind of account."""
    async with _opened(codes) as store:
        await store.write(_batch(5_000))

    assert codes.times == list(range(5_000))
    assert len(codes.lines) == 5_000
    [account] = codes.tokens
    assert account is not None
    assert account.startswith("Basic " if codes.version.startswith("1") else "Token secret-word")


@pytest.mark.parametrize("how", ["partial", "whole"])
async def test_codes_one_bad_line_of_5000_costs_one(codes: Codes, how: str) -> None:
    """It alone is named, all others are stored, in few requests."""
    codes.partial = how == "partial"

    async with _opened(codes) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(_batch(5_000, bad=(3_217,)))

    assert list(refused.value.readings) == [3_217]
    assert codes.times == [index for index in range(5_000) if index != 3_217]
    assert codes.writes <= 40


async def test_codes_many_bad_lines_are_all_found(codes: Codes) -> None:
    """Neighbours and both ends included."""
    bad = (0, 1, 2, 700, 1_999, 2_000, 4_999)

    async with _opened(codes) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(_batch(5_000, bad=bad))

    assert sorted(refused.value.readings) == list(bad)
    assert len(codes.times) == 5_000 - len(bad)


async def test_codes_batch_all_bad_is_refused_at_once() -> None:
    """What says that it dropped every line is not asked again for each."""
    with influx_codes("1.8.10") as codes:
        async with _opened(codes) as store:
            with pytest.raises(PointsRejected) as refused:
                await store.write(_batch(1_000, bad=tuple(range(1_000))))

    assert len(refused.value.readings) == 1_000
    assert codes.writes <= 3


@pytest.mark.parametrize("status", [401, 403])
async def test_codes_denied_is_kept_and_loud(codes: Codes, status: int) -> None:
    """Nothing is dead: the operator is told what to do, and no secret is said."""
    codes.faults = [Fault(status, '{"error":"authorization failed"}')]

    with capture_logs() as lines:
        async with _opened(codes) as store:
            with pytest.raises(StoreAway, match="refuses our account") as away:
                await store.write(_batch(10))

    assert "timeseries.url" in str(away.value)
    assert [line["log_level"] for line in lines if line["event"] == "timeseries.denied"] == [
        "error"
    ]
    assert "secret-word" not in f"{away.value}{lines}"


async def test_codes_missing_database_is_made_where_it_can_be(codes: Codes) -> None:
    """1.x is told to make it, once; elsewhere the operator is."""
    codes.has_database = False

    async with _opened(codes) as store:
        if codes.version.startswith("1"):
            await store.write(_batch(10))
            assert 'CREATE DATABASE "db"' in codes.statements
            assert len(codes.times) == 10
        else:
            with pytest.raises(StoreAway, match="no database or bucket 'db'"):
                await store.write(_batch(10))


async def test_codes_three_makes_its_database_when_it_is_written_to() -> None:
    """Until then a query says that there is none, which is no failure: nothing is stored."""
    with influx_codes("3.1.0") as codes:
        codes.has_database, codes.makes_database = False, True
        async with _opened(codes) as store:
            before = await store.read(SeriesQuery(0, 9))
            await store.write(_batch(10))

    assert before == []
    assert len(codes.times) == 10


async def test_codes_three_is_asked_one_statement_at_a_time() -> None:
    """It takes no more in a request."""
    with influx_codes("3.1.0") as codes:
        async with _opened(codes) as store:
            await store.read(SeriesQuery(0, 9, *_KEY))

    assert len(codes.statements) == 2
    assert not any(";" in statement for statement in codes.statements)


@pytest.mark.parametrize("limit_bytes", [2_000, 100_000])
async def test_codes_too_large_is_halved(codes: Codes, limit_bytes: int) -> None:
    """413 with an early close, which may look like a reset: everything arrives in smaller parts."""
    codes.limit_bytes = limit_bytes

    async with _opened(codes) as store:
        await store.write(_batch(4_000))

    assert codes.times == list(range(4_000))


async def test_codes_line_that_is_too_large_is_refused(codes: Codes) -> None:
    """A single line over the limit can never be stored."""
    codes.limit_bytes = 300
    long = _KEY._replace(metric=MetricName("note"))
    batch = PointBatch([_KEY, long, _KEY], [1, 2, 3], [1.0, "x" * 1_000, 1.0])

    async with _opened(codes) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(batch)

    assert list(refused.value.readings) == [1]
    assert codes.times == [1, 3]


async def test_codes_connection_closed_with_an_answer_costs_nothing(codes: Codes) -> None:
    """Who does not read a body closes behind its answer; what is sent next comes too late."""
    codes.faults = [Fault(413), Fault(0)]

    async with _opened(codes) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(_batch(1))
        await store.write(_batch(2))

    assert list(refused.value.readings) == [0]
    assert codes.times == [0, 1]


@pytest.mark.parametrize("status", [429, 503])
async def test_codes_busy_server_says_how_long(codes: Codes, status: int) -> None:
    """`Retry-After` reaches whoever retries; without it there is only his own patience."""
    codes.faults = [Fault(status, headers={"Retry-After": "7"}), Fault(status)]

    async with _opened(codes) as store:
        with pytest.raises(StoreAway) as first:
            await store.write(_batch(10))
        with pytest.raises(StoreAway) as second:
            await store.write(_batch(10))
        await store.write(_batch(10))

    assert [first.value.retry_after_s, second.value.retry_after_s] == [7.0, 0.0]
    assert len(codes.times) == 10


async def test_codes_failing_server_is_asked_again(codes: Codes) -> None:
    """A 500 that passes costs nothing."""
    codes.faults = [Fault(500), Fault(500)]

    async with _opened(codes) as store:
        await store.write(_batch(10))

    assert len(codes.times) == 10


async def test_codes_server_that_fails_on_one_line_costs_one(codes: Codes) -> None:
    """As early 2.x did on a type conflict: what fails alone, while others pass, is refused."""
    codes.always = {"bad": Fault(500, '{"error":"engine: field type conflict"}')}

    async with _opened(codes) as store:
        with pytest.raises(PointsRejected) as refused:
            await store.write(_batch(8, bad=(5,)))

    assert list(refused.value.readings) == [5]
    assert len(codes.times) == 7


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_codes_server_that_refuses_everything_refuses_no_points(
    codes: Codes, status: int
) -> None:
    """When it does not even take a line beyond doubt, the points are kept."""
    codes.always = {"": Fault(status, '{"error":"retention policy not found"}')}

    async with _opened(codes) as store:
        with pytest.raises(StoreAway, match="retention policy not found"):
            await store.write(_batch(1_000))

    assert codes.writes <= 4


async def test_codes_reset_is_an_unknown_outcome(codes: Codes) -> None:
    """Nobody knows whether it was stored: it is sent again, and is there once."""
    codes.faults = [Fault(0)]

    async with _opened(codes) as store:
        await store.write(_batch(10))

    assert codes.times == list(range(10))


async def test_codes_server_that_only_resets_is_away(codes: Codes) -> None:
    """However few lines are sent: nothing is refused, and it is given up after some."""
    codes.always = {"": Fault(0)}

    async with _opened(codes) as store:
        with pytest.raises(StoreAway):
            await store.write(_batch(3_000))

    assert codes.writes <= 20


@pytest.mark.parametrize("status", [301, 405, 418])
async def test_codes_odd_answer_is_kept(codes: Codes, status: int) -> None:
    """What is in no table is no reason to give points up."""
    codes.faults = [Fault(status)]

    async with _opened(codes) as store:
        with pytest.raises(StoreAway, match=str(status)):
            await store.write(_batch(10))


async def test_codes_server_replaced_by_another_is_noticed() -> None:
    """After an outage it is asked anew what it is: 1.8 may have become 2.7."""
    with influx_codes("1.8.10") as codes:
        async with _opened(codes) as store:
            await store.write(_batch(1))
            codes.version = "2.7.1"
            with pytest.raises(StoreAway):
                await store.write(_batch(2))
            await store.write(_batch(3))

    assert codes.times == [0, 1, 2]


async def test_codes_bucket_deletes_and_trims(codes2: Codes) -> None:
    """2.x: deletion by predicate, retention by the bucket's rule, set when it differs."""
    async with _opened(codes2, retention_days=30) as store:
        await store.delete("acme", "it's")
        await store.tend(0)
        await store.tend(60_000)

    deletes = [body for method, path, body in codes2.requests if path.startswith("/api/v2/delete")]
    patches = [body for method, path, body in codes2.requests if method == "PATCH"]
    assert len(deletes) == 2
    predicate = msgspec.json.decode(deletes[0])["predicate"]
    assert predicate == '_measurement="telemetry" AND tenant="acme" AND device="it\'s"'
    assert patches == [b'{"retentionRules":[{"type":"expire","everySeconds":2592000}]}']


async def test_codes_three_cannot_delete() -> None:
    """InfluxDB 3 has no way to delete a device: that is said, not passed over."""
    with influx_codes("3.1.0") as codes:
        async with _opened(codes) as store:
            with pytest.raises(Unsupported, match="InfluxDB 3"):
                await store.delete("acme")
