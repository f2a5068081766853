"""`Idempotency-Key`: a request that comes again is answered again, and counted once."""

import sqlite3
from pathlib import Path

import anyio
import httpx
import pytest

from cloud.ingest.ledger.accounts import Entry, KeptOutcome, Outcome, RequestKey
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.limits import Limits
from tests.support.ingest_http import FAN, PUMP, Served, served_ingestion
from tests.support.ingestion import Flaky, until
from wire.messages import Refusal

pytestmark = pytest.mark.anyio

_GOOD = b'{"values": {"t": 1}}'
_MIXED = b'{"points": [{"values": {"t": 1}}, {"values": {}}]}'
_DAY_MS = 24 * 3_600_000


async def _post(
    client: httpx.AsyncClient, content: bytes, key: str | None, **headers: str
) -> httpx.Response:
    sent = dict(headers) if key is None else {"Idempotency-Key": key, **headers}
    return await client.post("/api/v1/telemetry", content=content, headers=sent)


async def _counted(served: Served) -> int:
    return (await served.run.ledger.view(PUMP)).received


@pytest.mark.parametrize(("content", "status"), [(_GOOD, 202), (_MIXED, 202), (b"junk", 400)])
async def test_repeats_are_answered_alike_and_counted_once(
    tmp_path: Path, content: bytes, status: int
) -> None:
    """Whatever the first answer was, also over a restart; without the key it counts again."""
    store = Flaky()
    async with served_ingestion(tmp_path, store) as served, served.client("pump-token") as client:
        first = await _post(client, content, "k1")
        again = await _post(client, content, "k1")
        counted = await _counted(served)
        assert served.run.number("repeats_total") == 1
    async with served_ingestion(tmp_path, store) as served, served.client("pump-token") as client:
        restarted = await _post(client, content, "k1")
        counted_then = await _counted(served)
        other = await _post(client, content, None)
        counted_other = await _counted(served)

    assert first.status_code == status
    assert first.content == again.content == restarted.content == other.content
    assert again.status_code == restarted.status_code == status
    assert counted == counted_then
    assert counted_other == 2 * counted


async def test_repeats_of_another_body_are_refused(tmp_path: Path) -> None:
    """422, also for the same bytes of another type; another device may use the key."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
        served.client("fan-token") as fan,
    ):
        await _post(client, _GOOD, "k1")
        other_body = await _post(client, _MIXED, "k1")
        other_type = await _post(client, _GOOD, "k1", **{"Content-Type": "text/x"})
        other_device = await _post(fan, _MIXED, "k1")
        counted = await _counted(served)

    assert [other_body.status_code, other_type.status_code] == [422, 422]
    assert other_device.status_code == 202
    assert counted == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "\x7f", "é".encode().decode("latin-1")])
async def test_repeats_need_a_key_that_is_one(tmp_path: Path, key: str) -> None:
    """Anything else than visible ASCII is 400, and nothing is taken."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        headers = [(b"idempotency-key", key.encode("latin-1"))]
        answer = await client.post("/api/v1/telemetry", content=_GOOD, headers=headers)

        assert answer.status_code == 400
        assert await _counted(served) == 0


async def test_repeats_while_the_first_is_under_way_are_refused(tmp_path: Path) -> None:
    """409 until its fate is durable, also when its sender gave up waiting; then its answer."""
    store = Flaky()
    store.takes_s = 0.6
    async with served_ingestion(tmp_path, store) as served, served.client("pump-token") as client:
        served.run.service.gateway.timeout_s = 0.2
        answers: list[httpx.Response] = []

        async def first() -> None:
            answers.append(await _post(client, _GOOD, "k1"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await until(lambda: served.run.service.gateway.held == 1)
            meanwhile = await _post(client, _GOOD, "k1")
            other = await _post(client, _MIXED, "k1")
        after = await _post(client, _GOOD, "k1")
        await until(lambda: served.run.service.gateway.held == 0)
        later = await _post(client, _GOOD, "k1")
        counted = await _counted(served)

    assert (meanwhile.status_code, other.status_code) == (409, 422)
    assert answers[0].status_code == 503
    assert after.status_code == 409
    assert (later.status_code, later.json()) == (202, {"accepted": 1, "rejected": []})
    assert counted == 1


async def test_repeats_of_what_was_not_taken_are_taken(tmp_path: Path) -> None:
    """A refusal that kept nothing is no answer to remember."""
    store = Flaky()
    async with served_ingestion(tmp_path, store) as served, served.client("pump-token") as client:
        wrong = await _post(client, _GOOD, "k1", **{"Content-Encoding": "br"})
        served.run.service.gateway._store_is_away = lambda: True
        away = await _post(client, _GOOD, "k1")
        served.run.service.gateway._store_is_away = lambda: False
        taken = await _post(client, _GOOD, "k1")

    assert [wrong.status_code, away.status_code, taken.status_code] == [415, 503, 202]


async def test_repeats_of_many_at_once_are_counted_once(tmp_path: Path) -> None:
    """Twenty copies at the same moment: one is taken, the others are told to wait or its answer."""
    async with (
        served_ingestion(tmp_path, Flaky()) as served,
        served.client("pump-token") as client,
    ):
        statuses: list[int] = []

        async def send() -> None:
            statuses.append((await _post(client, _GOOD, "k1")).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(send)
        counted = await _counted(served)

    assert counted == 1
    assert statuses.count(202) >= 1
    assert set(statuses) <= {202, 409}


async def _known(ledger: Ledger, last: int) -> list[int]:
    return [n for n in range(1, last + 1) if await ledger.outcome(PUMP, f"k{n}", 20) is not None]


def _kept(key: str, at_ms: int, outcome: Outcome | None = None) -> KeptOutcome:
    return KeptOutcome(RequestKey(PUMP, key, b"d"), outcome or Outcome(1), at_ms)


async def test_outcomes_are_kept_a_day_and_within_bounds(tmp_path: Path) -> None:
    """The oldest go: of a device, of all, and what is older than a day."""
    limits = Limits(outcomes_of_a_device=3, outcomes=4)
    async with Ledger(tmp_path / "ingest.db", limits) as ledger:
        for at_ms in range(1, 6):
            await ledger.commit(Entry(outcomes=[_kept(f"k{at_ms}", at_ms)]))
        others = [KeptOutcome(RequestKey(FAN, f"f{n}", b"d"), Outcome(1), 10 + n) for n in (1, 2)]

        of_one_device = await _known(ledger, 5)
        await ledger.commit(Entry(outcomes=others))

        assert of_one_device == [3, 4, 5]
        assert await _known(ledger, 5) == [4, 5]
        assert await ledger.outcome(FAN, "f2", 12 + _DAY_MS - 1) is not None
        assert await ledger.outcome(FAN, "f2", 12 + _DAY_MS) is None
        await ledger.commit(Entry(outcomes=[_kept("new", 12 + _DAY_MS)]))
        with sqlite3.connect(tmp_path / "ingest.db") as file:
            assert file.execute("SELECT key FROM outcomes").fetchall() == [("new",)]
        file.close()


async def test_outcomes_keep_so_many_refusals(tmp_path: Path) -> None:
    """A hostile payload's answer is shortened before it is kept, and says so."""
    refused = [Refusal(index, "no") for index in range(1_500)]
    async with Ledger(tmp_path / "ingest.db") as ledger:
        await ledger.commit(Entry(outcomes=[_kept("k", 1, Outcome(2, refused))]))

        found = await ledger.outcome(PUMP, "k", 2)

    assert found is not None
    assert found[1].rejected[:1_000] == refused[:1_000]
    assert found[1].rejected[1_000:] == [Refusal(1_000, "and 499 more, not kept")]
