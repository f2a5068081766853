"""Dead letters that are taken again: what becomes of them, once each."""

from pathlib import Path

import msgspec
import pytest

from cloud.ingest.ledger.accounts import Entry, NewLetter, Tally
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Flaky, Running, running, until
from tidegate.errors import HTTPError
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def _payload(seq: int, value: object = 1.0) -> bytes:
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": {"t": value}})


async def test_replay_moves_a_reading_from_dead_to_stored(tmp_path: Path) -> None:
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

        again = await run.service.replaying.replay_letter(str(letter.id))

        assert (letter.only, letter.readings) == ([1, 2], 2)
        assert (again.accepted, [one.index for one in again.rejected]) == (1, [2])
        (newer,) = await run.ledger.dead_letters()
        assert newer.only == [2]
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.duplicate, view.received) == (2, 1, 0, 3)


async def test_replay_takes_what_the_store_refused(tmp_path: Path) -> None:
    """Of the message only the readings that the store refused come again, and count once."""
    points = (1, 2, 3, 4)
    payload = msgspec.json.encode(
        {
            "boot": "k",
            "points": [
                {"seq": seq, "ts": seq, "values": {"t": 666.0 if seq > 2 else seq}}
                for seq in points
            ],
        }
    )
    store = Flaky()
    async with running(tmp_path, store) as run:
        for seq in (1, 2):
            await run.service.gateway.accept(_PUMP, _payload(seq))
        refused = await run.service.gateway.accept(_PUMP, payload)
        (letter,) = await run.ledger.dead_letters()
        store.never = -1.0

        again = await run.service.replaying.replay_letter(str(letter.id))

        assert (refused.accepted, [one.index for one in refused.rejected]) == (2, [2, 3])
        assert (letter.only, letter.readings) == ([2, 3], 2)
        assert (again.accepted, again.rejected) == (2, [])
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.duplicate, view.received) == (4, 0, 2, 6)


async def test_replay_takes_a_letter_once(tmp_path: Path) -> None:
    """While a replay is under way, also one that was answered 503, there is no second."""
    store = Flaky()
    async with running(tmp_path, store) as run:
        gateway = run.service.gateway
        await gateway.accept(_PUMP, _payload(1, 666.0))
        (letter,) = await run.ledger.dead_letters()
        store.never, store.away, gateway.timeout_s = -1.0, True, 0.05
        statuses = [await _replayed(run, letter.id) for _ in range(2)]
        store.away = False
        await until(lambda: gateway.held == 0)
        statuses.append(await _replayed(run, letter.id))

        assert statuses == [503, 409, 404]
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.in_flight, view.received) == (1, 0, 0, 1)


async def test_replay_takes_a_letter_again_that_found_no_room(tmp_path: Path) -> None:
    """A replay that never began leaves no claim behind."""
    store = Flaky()
    settings = Settings(batch_wait_s=0.02, queue_messages=1)
    async with running(tmp_path, store, settings=settings) as run:
        gateway = run.service.gateway
        await gateway.accept(_PUMP, _payload(1, 666.0))
        (letter,) = await run.ledger.dead_letters()
        store.never, store.away, gateway.timeout_s = -1.0, True, 0.05
        with pytest.raises(HTTPError):
            await gateway.accept(_PUMP, _payload(2))
        without_room = await _replayed(run, letter.id)
        store.away, gateway.timeout_s = False, 15.0
        await until(lambda: gateway.held == 0)

        assert (without_room, await _replayed(run, letter.id)) == (503, 200)


async def test_replay_takes_many_letters(tmp_path: Path) -> None:
    """All that were asked for, in pages, down to the oldest; what is refused again is not met."""
    now = [1_000_000]
    async with running(tmp_path, Flaky(), now_ms=lambda: now[0]) as run:
        gateway = run.service.gateway
        for number in range(5):
            await gateway.accept(_PUMP, _future(number, ts_ms=10**7 if number else 10**9))
        with pytest.raises(Malformed):
            await gateway.accept(_PUMP, b"junk")
        now[0] = 10**7

        first = await run.service.replaying.replay_letters(reason="FUTURE", limit=3)
        assert first.next_cursor is not None
        second = await run.service.replaying.replay_letters(
            reason="FUTURE", limit=3, before=int(first.next_cursor)
        )

        assert (first.letters, first.accepted, first.refused, first.left) == (3, 3, 0, 2)
        assert (second.letters, second.accepted, second.refused, second.left) == (2, 1, 1, 0)
        assert second.next_cursor is None
        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.received, view.in_flight) == (4, 2, 6, 0)


async def test_replay_stops_when_the_store_is_away(tmp_path: Path) -> None:
    """With nothing taken the answer is 503; the letters stay, and can be replayed afterwards."""
    now, store = [1_000_000], Flaky()
    async with running(tmp_path, store, now_ms=lambda: now[0]) as run:
        gateway = run.service.gateway
        for number in range(5):
            await gateway.accept(_PUMP, _future(number, ts_ms=10**7))
        now[0], store.away, gateway.timeout_s = 10**7, True, 0.05

        with pytest.raises(HTTPError) as away:
            await run.service.replaying.replay_letters(limit=10)
        assert away.value.status == 503
        store.away, gateway.timeout_s = False, 15.0
        await until(lambda: not run.service.store_is_away and not gateway.held)
        await run.service.replaying.replay_letters(limit=10)

        view = await run.ledger.view(_PUMP)
        assert (view.stored, view.dead, view.received, view.in_flight) == (5, 0, 5, 0)


def _future(seq: int, *, ts_ms: int) -> bytes:
    point = {"boot": "k", "seq": seq + 1, "ts": ts_ms, "values": {"t": 1.0}}
    return msgspec.json.encode(point)


async def test_replay_refuses(tmp_path: Path) -> None:
    """No such letter, one without readings, one kept in part, and one that is refused again."""
    letters = [
        NewLetter(_PUMP, "t/acme/pump/status", "bad", b"junk", 0, 5),
        NewLetter(_PUMP, "t/acme/pump/telemetry", "bad", _payload(1), 3, 5, None, True),
        NewLetter(_PUMP, "t/acme/pump/telemetry", "bad", b"junk", 3, 5),
    ]
    async with running(tmp_path, Flaky()) as run:
        await run.ledger.commit(Entry(tallies={_PUMP: Tally(dead=6)}, letters=letters))

        statuses = [
            await _replayed(run, name) for name in (9, "x", "9" * 30, "\N{SUPERSCRIPT TWO}")
        ]
        statuses += [await _replayed(run, one.id) for one in await run.ledger.dead_letters()]

        assert statuses == [404, 404, 404, 404, 422, 422, 422]
        view = await run.ledger.view(_PUMP)
        assert (view.dead, view.in_flight, view.received) == (6, 0, 6)


async def _replayed(run: Running, letter_id: object) -> int:
    try:
        await run.service.replaying.replay_letter(str(letter_id))
    except HTTPError as refused:
        return refused.status
    return 200
