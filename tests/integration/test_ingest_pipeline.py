"""The pipeline without a broker: what becomes of payloads when stores are away or refuse."""

from pathlib import Path

import anyio
import msgspec
import pytest

from cloud.settings import Ingest as Settings
from cloud.timeseries.duckdb import DuckDB
from tests.support.ingestion import Flaky, running, until
from tidegate.errors import HTTPError
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def _payload(seq: int, value: object = 1.0) -> bytes:
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": {"t": value}})


async def test_pipeline_returns_once_durable(tmp_path: Path) -> None:
    """When `accept` returns, point, count and sequence are in the files."""
    async with DuckDB(tmp_path / "t.duckdb") as store, running(tmp_path, store) as run:
        accepted = await run.service.gateway.accept(_PUMP, _payload(1, 21))

        assert (accepted.accepted, accepted.rejected) == (1, [])
        assert await run.points() == [("t", 1, 21.0)]
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.in_flight, view.received) == (1, 0, 1)
        assert run.presence.of(_PUMP).last_heard_ms is not None
        assert run.registry.get(_PUMP) is not None
        assert [len(batch.points) for batch in run.tapped] == [1]


async def test_pipeline_remembers_over_a_restart(tmp_path: Path) -> None:
    """The same message after a restart is a duplicate, and is not written again."""
    store = Flaky()
    async with running(tmp_path, store) as run:
        await run.service.gateway.accept(_PUMP, _payload(1))

    async with running(tmp_path, store) as run:
        await run.service.gateway.accept(_PUMP, _payload(1))
        view = await run.ledger.view(_PUMP)

        assert (view.stored, view.duplicate) == (1, 1)
        assert store.written == 1
        assert run.presence.of(_PUMP).last_heard_ms is not None


async def test_pipeline_names_what_it_rejects(tmp_path: Path) -> None:
    """Good readings of a batch are kept, bad ones are named by index and dead-lettered."""
    payload = (
        b'{"points":[{"ts":1,"values":{"t":1}},{"ts":2,"values":{"t":NaN}},'
        b'{"ts":99999999999999,"values":{"t":3}},{"ts":4,"values":{"t":4}}]}'
    )
    async with running(tmp_path, Flaky()) as run:
        accepted = await run.service.gateway.accept(_PUMP, payload)

        assert accepted.accepted == 2
        assert [one.index for one in accepted.rejected] == [1, 2]
        assert await run.points() == [("t", 1, 1.0), ("t", 4, 4.0)]
        assert (await run.ledger.view(_PUMP)).dead == 2


async def test_pipeline_malformed_is_told_and_buried(tmp_path: Path) -> None:
    """The sender learns it, the letter is kept, the next message goes through."""
    async with running(tmp_path, Flaky()) as run:
        with pytest.raises(Malformed):
            await run.service.gateway.accept(_PUMP, b"junk")
        await run.service.gateway.accept(_PUMP, _payload(1))

        assert [one.payload for one in await run.ledger.dead_letters()] == [b"junk"]
        assert run.number("readings_total", fate="dead") == 1
        assert run.number("readings_total", fate="stored") == 1


async def test_pipeline_isolates_what_the_store_refuses(tmp_path: Path) -> None:
    """One message that the store never takes costs no other of its batch."""
    settings = Settings(batch_readings=50, batch_wait_s=0.3)
    answers: dict[int, int] = {}
    async with running(tmp_path, Flaky(), settings=settings) as run:

        async def send(seq: int) -> None:
            value = 666.0 if seq in (7, 23) else float(seq)
            accepted = await run.service.gateway.accept(_PUMP, _payload(seq, value))
            answers[seq] = accepted.accepted

        async with anyio.create_task_group() as tasks:
            for seq in range(1, 31):
                tasks.start_soon(send, seq)

        assert {seq for seq, accepted in answers.items() if not accepted} == {7, 23}
        assert len(await run.points()) == 28
        assert [len(batch.points) for batch in run.tapped] == [28]
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead) == (28, 2)
        assert view.boots[0].missing == []


async def test_pipeline_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    """While the store fails nothing is lost or answered; then everything is there, once."""
    store = Flaky()
    store.failures = 3
    async with running(tmp_path, store) as run:
        async with anyio.create_task_group() as tasks:
            for seq in range(1, 11):
                tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(seq))

        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.duplicate) == (10, 0)
        assert len(await run.points()) == 10
        assert run.number("store_retries_total") == 3


async def test_pipeline_answers_503_when_it_takes_too_long(tmp_path: Path) -> None:
    """A caller does not wait for ever, and what it sent is stored later all the same."""
    store = Flaky()
    store.away = True
    async with running(tmp_path, store) as run:
        run.service.gateway.timeout_s = 0.1
        with pytest.raises(HTTPError) as refused:
            await run.service.gateway.accept(_PUMP, _payload(1))
        view = await run.ledger.view(_PUMP)
        store.away = False

        assert refused.value.status == 503
        assert (view.in_flight, view.received) == (1, 1)
        await until(lambda: bool(run.tapped))


async def test_pipeline_answers_503_when_full(tmp_path: Path) -> None:
    """The buffer is bounded: what does not fit is refused at once, not kept."""
    store = Flaky()
    store.away = True
    async with running(tmp_path, store, settings=Settings(queue_messages=1)) as run:
        run.service.gateway.timeout_s = 0.05
        with pytest.raises(HTTPError, match="later"):
            await run.service.gateway.accept(_PUMP, _payload(1))
        with pytest.raises(HTTPError, match="full"):
            await run.service.gateway.accept(_PUMP, _payload(2))

        assert run.number("refused_busy_total") == 2
        store.away = False


async def test_pipeline_replay_moves_a_reading_from_dead_to_stored(tmp_path: Path) -> None:
    """A letter whose cause is gone is stored now, counted once, and the letter is closed."""
    now = [1_000_000]
    future = msgspec.json.encode(
        {
            "boot": "k",
            "points": [{"seq": s, "ts": s * 10**6, "values": {"t": s}} for s in (1, 2, 3)],
        }
    )
    async with running(tmp_path, Flaky(), now_ms=lambda: now[0]) as run:
        await run.service.gateway.accept(_PUMP, future)
        (letter,) = await run.ledger.dead_letters()
        now[0] = 1_500_000

        again = await run.service.gateway.replay(letter)

        assert (letter.only, letter.readings) == ([1, 2], 2)
        assert (again.accepted, [one.index for one in again.rejected]) == (1, [2])
        (newer,) = await run.ledger.dead_letters()
        assert newer.only == [2]
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.duplicate, view.received) == (2, 1, 0, 3)


async def test_pipeline_finishes_what_it_has_when_stopped(tmp_path: Path) -> None:
    """A stop stores the batch that still waits for more."""
    store = Flaky()
    settings = Settings(batch_wait_s=60)
    async with (
        running(tmp_path, store, settings=settings) as run,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(1))
        await until(lambda: run.service.gateway.held == 1)
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()

    assert store.written == 1
