"""The pipeline with its store away: it spools and acknowledges, drains in order, counts exactly."""

from pathlib import Path

import anyio
import msgspec
import pytest
from paho.mqtt import publish

from cloud.ingest.ledger.accounts import LedgerView
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Spool
from cloud.timeseries.port import StoreAway
from tests.support.ingestion import Flaky, Running, running, until
from tests.support.servers import Mosquitto
from tests.support.spools import files_in, payload_of
from tidegate.errors import HTTPError
from wire.ids import DeviceKey, device_id, tenant_id
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_SPOOLING = Settings(batch_wait_s=0.02, spool=Spool(after_s=0.05, keep_free_bytes=0))


class _Ordered(Flaky):
    """Remembers the times of what it stored, in the order of the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[int] = []

    async def write(self, batch: PointBatch) -> None:
        """Store, unless away or told to fail."""
        await super().write(batch)
        self.order += batch.ts_ms


async def _send(run: Running, *seqs: int, value: float | None = None) -> None:
    for seq in seqs:
        values = None if value is None else {"t": value}
        accepted = await run.service.gateway.accept(_PUMP, payload_of(seq, values))
        assert accepted.accepted == 1


async def _drained(run: Running) -> LedgerView:
    spool = run.service.spool
    await until(lambda: spool.last_id > 0 and spool.is_empty)
    view = await run.ledger.view(_PUMP)
    assert view.received == view.stored + view.duplicate + view.dead + view.filtered
    assert view.in_flight == run.number("spool_readings") == run.number("spool_bytes") == 0
    return view


async def test_spool_takes_over_while_the_store_is_away(tmp_path: Path) -> None:
    """Accepted and durable, in flight for the ledger, told to the taps once, stored in order."""
    store = _Ordered()
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await _send(run, 1)
        store.away = True
        await _send(run, 2, 3, 4)
        held = await run.ledger.view(_PUMP)
        numbers = (run.number("spool_records"), run.number("spool_readings"))
        refused_by_gateway = run.service.store_is_away
        store.away = False
        await _send(run, 5, 6)
        view = await _drained(run)
        await _send(run, 7)

        assert (held.stored, held.in_flight, held.received) == (1, 3, 4)
        assert held.boots[0].missing == []
        assert numbers == (3, 3)
        assert not refused_by_gateway
        assert (view.stored, view.dead, view.duplicate) == (6, 0, 0)
        assert store.order == [1, 2, 3, 4, 5, 6, 7]
        assert [ts for batch in run.tapped for ts in batch.points.ts_ms] == [1, 2, 3, 4, 5, 6, 7]
        assert files_in(tmp_path / "spool", "") == []
        assert run.number("readings_total", fate="stored") == 7


async def test_spool_waits_first_for_a_store_that_comes_back(tmp_path: Path) -> None:
    """A short absence costs no disk: it is retried for `after_s`."""
    store = Flaky()
    store.failures = 2
    settings = Settings(batch_wait_s=0.02, spool=Spool(after_s=30))
    async with running(tmp_path, store, settings=settings) as run:
        await _send(run, 1)

        assert (run.service.spool.last_id, store.written) == (0, 1)


@pytest.mark.parametrize("back", ["before", "after"])
async def test_spool_survives_restarts(tmp_path: Path, back: str) -> None:
    """Spooled in one life, more in the next, drained in a third; what comes twice is known."""
    store = _Ordered()
    store.away = True
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await _send(run, 1, 2)
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await until(lambda: run.service.spool.readings == 2)
        await _send(run, 2, 3)
        held = await run.ledger.view(_PUMP)
        store.away = back == "after"
        if back == "before":
            await _drained(run)
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        store.away = False
        view = await _drained(run)

        assert (held.stored, held.in_flight, held.duplicate) == (0, 3, 1)
        assert (view.stored, view.duplicate, view.received) == (3, 1, 4)
        assert store.order == [1, 2, 3]
        assert run.number("spool_corrupt_files") == 0


async def test_spool_takes_what_is_on_its_way_at_a_stop(tmp_path: Path) -> None:
    """Nobody waits out `after_s` when the process is to end: it goes to disk at once."""
    store = Flaky()
    store.away = True
    settings = Settings(batch_wait_s=0.02, spool=Spool(after_s=60, keep_free_bytes=0))
    async with (
        running(tmp_path, store, settings=settings) as run,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(run.service.gateway.accept, _PUMP, payload_of(1))
        await until(lambda: run.number("store_retries_total") > 0)
        tasks.cancel_scope.cancel()

    async with running(tmp_path, store, settings=settings) as run:
        await until(lambda: run.service.spool.readings == 1)
        store.away = False
        assert (await _drained(run)).stored == 1


async def test_spool_buries_what_the_store_refuses_later(tmp_path: Path) -> None:
    """One message of a spooled batch is dead, with its payload, and can be replayed."""
    store = Flaky()
    store.away = True
    settings = Settings(batch_wait_s=0.1, spool=Spool(after_s=0.01, keep_free_bytes=0))
    async with running(tmp_path, store, settings=settings) as run:
        async with anyio.create_task_group() as tasks:
            for seq in range(1, 11):
                value = 666.0 if seq == 4 else float(seq)
                tasks.start_soon(run.service.gateway.accept, _PUMP, payload_of(seq, {"t": value}))
        store.away = False
        view = await _drained(run)
        (letter,) = await run.ledger.dead_letters()
        store.never = -1.0
        again = await run.service.replaying.replay_letter(str(letter.id))
        after = await run.ledger.view(_PUMP)

        assert (view.stored, view.dead) == (9, 1)
        assert (letter.payload, letter.only) == (payload_of(4, {"t": 666.0}), [0])
        assert (again.accepted, after.stored, after.dead, after.received) == (1, 10, 0, 10)


async def test_spool_holds_a_replayed_letter(tmp_path: Path) -> None:
    """A dead letter that is replayed while the store is away moves from dead to in flight."""
    store = Flaky()
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await run.service.gateway.accept(_PUMP, payload_of(1, {"t": 666.0}))
        (letter,) = await run.ledger.dead_letters()
        store.away, store.never = True, -1.0
        await run.service.replaying.replay_letter(str(letter.id))
        held = await run.ledger.view(_PUMP)
        store.away = False
        view = await _drained(run)

        assert (held.dead, held.in_flight, held.received) == (0, 1, 1)
        assert (view.stored, view.dead, view.received) == (1, 0, 1)


async def test_spool_lost_readings_are_dead_and_said_to_be(tmp_path: Path) -> None:
    """A file that went bad while nothing ran: a letter a device, no balance made up."""
    store = Flaky()
    store.away = True
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await _send(run, 1, 2, 3)
    (path,) = files_in(tmp_path / "spool")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    store.away = False
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await until(lambda: bool(store.written))
        view = await _drained(run)
        (letter,) = await run.ledger.dead_letters()

        assert (view.stored, view.dead, view.received) == (2, 1, 3)
        assert (letter.payload, letter.readings, letter.device) == (b"", 1, _PUMP)
        assert run.number("spool_lost_readings_total") == 1
        assert run.number("spool_corrupt_files") == 1
        with pytest.raises(HTTPError, match="let its sender repeat it"):
            await run.service.replaying.replay_letter(str(letter.id))
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        assert (await run.ledger.view(_PUMP)).dead == 1
        assert run.number("spool_lost_readings_total") == 0


async def test_spool_lost_while_it_runs_is_dead_too(tmp_path: Path) -> None:
    """Somebody deletes the file under us: the counts are right again when it is drained."""
    store = Flaky()
    store.away = True
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        await _send(run, 1)
        await until(lambda: run.number("store_retries_total") > 1)
        await _send(run, 2, 3)
        for path in files_in(tmp_path / "spool"):
            path.unlink()
        store.away = False
        view = await _drained(run)

        # The drainer had read the first record already.
        assert (view.stored, view.dead, view.received) == (1, 2, 3)
        assert run.number("spool_lost_readings_total") == 2


async def test_spool_full_stops_taking_and_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto, unique_name: str
) -> None:
    """Full: HTTP is answered 503, MQTT is not acknowledged; back: everything is stored, once."""
    store = Flaky()
    store.away = True
    settings = Settings(
        batch_wait_s=0.02,
        batch_readings=10,
        queue_messages=20,
        spool=Spool(max_bytes=4_000, after_s=0.01, keep_free_bytes=0),
    )
    device = DeviceKey(tenant_id(unique_name), device_id("pump"))
    access = BrokerAccess(mosquitto.host, mosquitto.port, client_id=unique_name)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        messages = [
            (f"t/{unique_name}/pump/telemetry", payload_of(s), 1, False) for s in range(1, 301)
        ]
        await anyio.to_thread.run_sync(
            lambda: publish.multiple(messages, hostname=mosquitto.host, port=mosquitto.port)  # type: ignore[arg-type]  # a list of dicts, as its documentation says
        )
        await until(lambda: run.service.store_is_away)
        spooled = run.service.spool.readings
        with pytest.raises(HTTPError) as refused:
            await run.service.gateway.accept(_PUMP, payload_of(1))
        held, tapped = run.service.gateway.held, len(run.tapped)
        store.away = False
        await until(lambda: sum(len(b.points) for b in run.tapped) == 300)
        await until(lambda: run.service.spool.is_empty)
        view = await run.ledger.view(device)

        assert refused.value.status == 503
        assert 0 < spooled < 300
        assert 0 < held <= 300 - spooled
        assert tapped * 10 >= spooled > 0
        assert run.number("spool_refused_total") >= 1
        assert (view.stored, view.duplicate, view.in_flight) == (300, 0, 0)
        assert len(await run.points()) == 300


async def test_spool_lets_a_platform_start_without_its_store(tmp_path: Path) -> None:
    """Away from the first moment on: it takes messages all the same."""

    class Absent(Flaky):
        async def write(self, batch: PointBatch) -> None:
            raise StoreAway("never there")

    async with running(tmp_path, Absent(), settings=_SPOOLING) as run:
        await _send(run, 1)

        assert run.service.spool.readings == 1
        assert msgspec.json.decode((await run.ledger.fact("spool.appended")) or "0") == 1


async def test_spool_keeps_the_answers_of_repeatable_requests(tmp_path: Path) -> None:
    """A request that was spooled and comes again after a restart is answered as before."""
    store = Flaky()
    store.away = True
    payload = b'{"points":[{"ts":1,"values":{"t":1}},{"ts":2,"values":{"t":NaN}}]}'
    answers = []
    for _ in range(2):
        async with running(tmp_path, store, settings=_SPOOLING) as run:
            answers.append(await run.service.gateway.accept(_PUMP, payload, key="once"))
    async with running(tmp_path, store, settings=_SPOOLING) as run:
        store.away = False
        view = await _drained(run)

    assert answers[0] == answers[1]
    assert (answers[0].accepted, len(answers[0].rejected)) == (1, 1)
    assert (view.stored, view.dead, view.received) == (1, 1, 2)
