"""The pipeline without a broker: what becomes of payloads when stores are away or refuse."""

import gc
from pathlib import Path

import anyio
import msgspec
import pytest

from cloud.ingest.ledger.accounts import Entry
from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.steps import post_telemetry_step
from cloud.settings import Ingest as Settings
from cloud.settings import Spool
from cloud.timeseries.duckdb import DuckDB
from tests.support.fake_context import FakeContext
from tests.support.ingestion import Flaky, running, until
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.codecs.checks import MAX_PAYLOAD_BYTES
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


async def test_pipeline_stores_every_reading_of_one_millisecond(tmp_path: Path) -> None:
    """What is acknowledged is there: equal times, also those cut to a millisecond, do not meet."""
    times = [1_000, 1_000, 1_000, "1970-01-01T00:00:02.0001Z", "1970-01-01T00:00:02.0004Z"]
    payloads = [
        msgspec.json.encode({"boot": "k", "seq": seq, "ts": ts, "values": {"t": seq * 10}})
        for seq, ts in enumerate(times, 1)
    ]
    expected = [("t", 1_000, value) for value in (10.0, 20.0, 30.0)]
    expected += [("t", 2_000, value) for value in (40.0, 50.0)]
    async with DuckDB(tmp_path / "t.duckdb") as store:
        for ledger in ("one", "lost"):  # without its ledger the same messages are the same points
            (tmp_path / ledger).mkdir()
            async with running(tmp_path / ledger, store) as run:
                for payload in payloads:
                    await run.service.gateway.accept(_PUMP, payload)

                assert await run.points() == expected
                assert (await run.ledger.view(_PUMP)).stored == len(payloads)


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


async def test_pipeline_refuses_at_once_while_the_store_is_away(tmp_path: Path) -> None:
    """Nobody waits for what is known not to work, and nothing is kept of it."""
    store = Flaky()
    store.away = True
    settings = Settings(batch_wait_s=0.02, spool=Spool(max_bytes=0))
    async with running(tmp_path, store, settings=settings) as run:
        gateway = run.service.gateway
        gateway.timeout_s = 0.05
        known_before = run.service.store_is_away
        with pytest.raises(HTTPError, match="later"):
            await gateway.accept(_PUMP, _payload(1))
        await until(lambda: run.service.store_is_away)
        gateway.timeout_s = 15.0
        with anyio.fail_after(1), pytest.raises(HTTPError, match="nothing was kept") as refused:
            await gateway.accept(_PUMP, _payload(2))

        assert (known_before, run.service.store_is_away) == (False, True)
        assert (refused.value.status, gateway.held) == (503, 1)
        store.away = False
        await until(lambda: not run.service.store_is_away)
        assert (await gateway.accept(_PUMP, _payload(3))).accepted == 1
        assert [ts_ms for _, ts_ms, _ in await run.points()] == [1, 3]


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


async def test_pipeline_takes_nothing_larger_than_a_message(tmp_path: Path) -> None:
    """What MQTT would not carry is 413 by HTTP: neither read nor kept as a letter."""
    body = b" " * MAX_PAYLOAD_BYTES + b"{}"
    request = Request(
        user={"tenant": "acme", "device": "pump"}, raw_body=body, headers={}, query_params={}
    )
    async with running(tmp_path, Flaky()) as run:
        with pytest.raises(HTTPError) as refused:
            await post_telemetry_step.handler(request, FakeContext(), gateway=run.service.gateway)

        assert refused.value.status == 413
        assert await run.ledger.dead_letters() == []


class _HeardAtTheSecondAttempt(Ledger):
    """A ledger that is away when it is first asked, and then knows one device."""

    _failures = 1

    async def heard(self) -> dict[DeviceKey, int]:
        """Return one device, but for the first time."""
        if self._failures:
            self._failures -= 1
            raise LedgerAway("disk full")
        return {_PUMP: 5}


async def test_pipeline_waits_for_the_ledger_when_it_starts(tmp_path: Path) -> None:
    """A disk that is full at that moment is waited out, like later."""
    async with running(tmp_path, Flaky(), open_ledger=_HeardAtTheSecondAttempt) as run:
        await until(lambda: run.presence.of(_PUMP).last_heard_ms == 5)

        assert run.number("store_retries_total") == 1


class _Slow(Ledger):
    """A ledger that commits when it is let, and remembers which entries it has."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_let = anyio.Event()
        self.committed: list[int] = []

    async def commit(self, entry: Entry) -> None:
        """Commit it, but the readings of no boot before."""
        if entry.boots:
            await self.is_let.wait()
        await super().commit(entry)
        self.committed += [row.spans[-1][1] for row in entry.boots]


async def test_pipeline_stores_a_batch_while_the_one_before_is_accounted_for(
    tmp_path: Path,
) -> None:
    """One more at most; nobody is told before the ledger has it, and that in their order."""
    store = Flaky()
    settings = Settings(batch_wait_s=0, batch_readings=1)
    async with (
        running(tmp_path, store, settings=settings, open_ledger=_Slow) as run,
        anyio.create_task_group() as tasks,
    ):
        ledger = run.ledger
        assert isinstance(ledger, _Slow)
        for seq in (1, 2, 3, 4):
            tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(seq))
            await until(lambda seq=seq: run.service.gateway.held == seq)  # type: ignore[misc]  # a default is no argument
        await until(lambda: store.written == 2)
        await anyio.sleep(0.05)

        assert (store.written, run.tapped, ledger.committed) == (2, [], [])
        ledger.is_let.set()
        await until(lambda: len(run.tapped) == 4)

        assert ledger.committed == [1, 2, 3, 4]


async def test_pipeline_spools_behind_what_is_accounted_for(tmp_path: Path) -> None:
    """A batch that cannot be stored waits for the accounts of the one before it."""
    store = Flaky()
    spool = Spool(after_s=0.05, keep_free_bytes=0)
    settings = Settings(batch_wait_s=0, batch_readings=1, spool=spool)
    async with (
        running(tmp_path, store, settings=settings, open_ledger=_Slow) as run,
        anyio.create_task_group() as tasks,
    ):
        ledger = run.ledger
        assert isinstance(ledger, _Slow)
        tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(1))
        await until(lambda: store.written == 1)
        store.away = True
        tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(2))
        await until(lambda: run.number("store_retries_total") > 0)
        await anyio.sleep(0.2)

        assert run.service.spool.last_id == 0
        ledger.is_let.set()
        await until(lambda: run.service.spool.readings == 1)

        assert ledger.committed == [1, 2]


class _Away(Ledger):
    """A ledger that says nothing of devices."""

    async def heard(self) -> dict[DeviceKey, int]:
        """Refuse."""
        raise LedgerAway("disk full")


async def test_pipeline_stopped_before_it_began_leaves_nothing_open(tmp_path: Path) -> None:
    """A stop while the ledger is still awaited frees what a broker would have needed."""
    broker = BrokerAccess("127.0.0.1", 1)
    with anyio.move_on_after(0.3) as waiting:
        async with running(tmp_path, Flaky(), broker=broker, open_ledger=_Away):
            pytest.fail("it cannot have begun")

    gc.collect()  # an open socket would warn, and warnings are errors
    assert waiting.cancelled_caught
