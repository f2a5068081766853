"""The ledger's file: counts add up, sequences come back, letters are bounded."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.accounts import new_account
from cloud.fleet.registry import Registry
from cloud.ingest.ledger.accounts import BootRow, BootView, Entry, LetterQuery, NewLetter, Tally
from cloud.ingest.ledger.file import LedgerAway, LedgerFile
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.limits import Limits
from cloud.ingest.steps import get_ledger_step
from tests.support.fake_context import FakeContext
from tidegate.errors import HTTPError, Misconfigured
from tidegate.http.request import Request
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pümp \"'"))
_FAN = DeviceKey(tenant_id("acme"), device_id("fan"))


def _letter(number: int, payload: bytes = b"\x00junk") -> NewLetter:
    return NewLetter(_PUMP, "t/acme/pump/telemetry", f"reason {number}", payload, 1, number)


async def test_ledger_adds_up_over_batches_and_restarts(tmp_path: Path) -> None:
    """Counts are sums; a boot's row is what it was at last; all of it survives closing."""
    path = tmp_path / "ingest.db"
    entry = Entry(tallies={_PUMP: Tally(3, 2, 1, 4, 50), _FAN: Tally(1)})
    entry.boots = [BootRow(_PUMP, "k\"'", [(2, 3), (6, 9)], 2, 8, 50, closed=7)]
    async with Ledger(path) as ledger:
        await ledger.commit(entry)
        await ledger.commit(Entry(tallies={_PUMP: Tally(7, heard_at_ms=40)}))
        await ledger.remember("name", "value")

    async with Ledger(path) as ledger:
        ledger.expect(Entry(tallies={_PUMP: Tally(5)}))
        view, totals = await ledger.view(_PUMP), ledger.totals()

        assert (view.stored, view.duplicate, view.dead, view.filtered) == (10, 2, 1, 4)
        assert (view.in_flight, view.received) == (5, 22)
        assert view.boots == [BootView("k\"'", 2, 9, [(1, 1), (4, 5)])]
        assert (totals.stored, totals.received) == (11, 23)
        assert await ledger.heard() == {_PUMP: 50, _FAN: 0}
        assert await ledger.fact("name") == "value"
        spans = ledger.recall(_PUMP).boots["k\"'"]
        assert (spans.intervals(), spans.declared_first) == ([(2, 3), (6, 9)], 2)
        assert (spans.closed, spans.forgotten) == (7, 8)


async def test_ledger_unknown_device_is_all_zero(tmp_path: Path) -> None:
    """Nobody is an account of nothing."""
    async with Ledger(tmp_path / "ingest.db") as ledger:
        view = await ledger.view(_FAN)

    assert (view.received, view.boots) == (0, [])


async def test_ledger_commits_all_or_nothing(tmp_path: Path) -> None:
    """A batch that cannot be written as a whole leaves no trace, and the next one can."""
    broken = Entry(tallies={_PUMP: Tally(1)}, closed_letters=["x" * 10])  # type: ignore[list-item]  # breaks on purpose
    broken.letters = [NewLetter(_PUMP, "t", "r", None, 1, 1)]  # type: ignore[arg-type]  # NOT NULL
    async with Ledger(tmp_path / "ingest.db") as ledger:
        with pytest.raises(LedgerAway):
            await ledger.commit(broken)

        assert ledger.totals().stored == 0
        await ledger.commit(Entry(tallies={_PUMP: Tally(1)}))
        assert ledger.totals().stored == 1


async def test_ledger_lists_letters_newest_first(tmp_path: Path) -> None:
    """By tenant, by device, below an id; and a closed one is gone."""
    async with Ledger(tmp_path / "ingest.db") as ledger:
        fan = NewLetter(_FAN, "t/acme/fan/telemetry", "r", b"", 2, 9, only=[1, 4])
        nobody = NewLetter(None, "x", "foreign", b"", 0, 9)
        await ledger.commit(Entry(letters=[_letter(1), _letter(2), fan, nobody]))
        everything = await ledger.dead_letters()

        assert [one.reason for one in everything] == ["foreign", "r", "reason 2", "reason 1"]
        assert everything[1].only == [1, 4]
        assert everything[2].payload == b"\x00junk"
        assert [one.device for one in everything[:2]] == [None, _FAN]
        older = await ledger.dead_letters("acme", _PUMP.device, before=everything[2].id)
        assert [one.reason for one in older] == ["reason 1"]
        await ledger.commit(Entry(closed_letters=[older[0].id]))
        assert await ledger.letter(older[0].id) is None
        assert await ledger.letter(everything[1].id) == everything[1]


def test_ledger_letters_are_bounded(tmp_path: Path) -> None:
    """Beyond the bound the oldest go, and are counted."""
    file = LedgerFile(tmp_path / "ingest.db", Limits(letters=3, letter_bytes=100))

    file.commit(Entry(letters=[_letter(number) for number in range(5)]))
    numbers = [one.received_at_ms for one in file.letters(LetterQuery())]
    file.commit(Entry(letters=[_letter(9, b"x" * 95)]))

    assert numbers == [4, 3, 2]
    kept = [one.reason for one in file.letters(LetterQuery())]
    assert kept == ["reason 9", "reason 4"]
    assert file.letters_dropped == 4
    file.close()


def test_ledger_storm_of_letters_pushes_out_its_own(tmp_path: Path) -> None:
    """One device's poison leaves the others' letters; how many had to go outlives a restart."""
    file = LedgerFile(tmp_path / "ingest.db", Limits(letters=10))
    good = NewLetter(_FAN, "t/acme/fan/telemetry", "good", b"x", 1, 1)
    nobody = NewLetter(None, "x", "foreign", b"x", 0, 1)

    file.commit(Entry(letters=[good, nobody]))
    file.commit(Entry(letters=[_letter(number) for number in range(500)]))
    file.close()
    file = LedgerFile(tmp_path / "ingest.db", Limits(letters=10))
    kept = [one.reason for one in file.letters(LetterQuery())]

    assert kept == [f"reason {number}" for number in range(499, 491, -1)] + ["foreign", "good"]
    assert file.letters_dropped == 492
    newest = file.letters(LetterQuery())[0]
    file.commit(Entry(closed_letters=[newest.id]))
    file.commit(Entry(letters=[_letter(1), _letter(2)]))
    assert file.letters_dropped == 493
    file.close()


def test_ledger_finds_letters_by_reason(tmp_path: Path) -> None:
    """A part of the reason, in capitals or not; replayable are those that hold a reading whole."""
    file = LedgerFile(tmp_path / "ingest.db")
    shortened = replace(_letter(3), is_shortened=True)
    foreign = NewLetter(None, "x", "Reason 4", b"", 0, 9)
    file.commit(Entry(letters=[_letter(1), _letter(12), shortened, foreign]))

    found = [one.reason for one in file.letters(LetterQuery(reason="REASON 1"))]

    assert found == ["reason 12", "reason 1"]
    assert file.letters(LetterQuery(reason="%")) == []
    assert file.replayable(LetterQuery()) == [2, 1]
    assert file.replayable(LetterQuery(reason="12")) == [2]
    file.close()


def test_ledger_keeps_the_boots_heard_last(tmp_path: Path) -> None:
    """A device that boots for ever does not fill the disk."""
    file = LedgerFile(tmp_path / "ingest.db", Limits(boots_of_a_device=2))

    for number in range(4):
        row = BootRow(_PUMP, f"k{number}", [(1, 1)], 1, 0, number)
        entry = Entry(boots=[row], tallies={_PUMP: Tally(1)}, devices_with_new_boots={_PUMP})
        file.commit(entry)

    assert list(file.recall(_PUMP).boots) == ["k2", "k3"]
    file.close()


async def test_ledger_broken_file_is_misconfigured(tmp_path: Path) -> None:
    """A file that is no database names itself."""
    (tmp_path / "ingest.db").write_text("this is no database " * 1000)

    with pytest.raises(Misconfigured, match=r"ingest\.db"):
        async with Ledger(tmp_path / "ingest.db"):
            pass


async def test_ledger_step_shows_a_device_or_404(tmp_path: Path) -> None:
    """A device that was heard or registered has an account; anybody else is not found."""
    registry = Registry(tmp_path / "fleet.db", new_account=new_account)
    registry.add(_FAN)
    async with Ledger(tmp_path / "ingest.db") as ledger:
        await ledger.commit(Entry(tallies={_PUMP: Tally(3)}))

        async def shown(tenant: str, device: str) -> dict[str, object]:
            request = Request(path_params={"tenant": tenant, "device": device})
            answer = await get_ledger_step.handler(
                request, FakeContext(), ledger=ledger, registry=registry
            )
            body: dict[str, object] = answer["body"]
            return body

        assert (await shown(*_PUMP))["received"] == 3
        assert (await shown(*_FAN))["boots"] == []
        for names in (("acme", "nobody"), ("acme", "a/b")):
            with pytest.raises(HTTPError):
                await shown(*names)
    registry.close()


async def test_ledger_clock_is_not_set_back(tmp_path: Path) -> None:
    """What comes out of the spool knows no clock: it leaves the newest time and the skew alone."""
    async with Ledger(tmp_path / "ingest.db") as ledger:
        await ledger.commit(Entry(tallies={_PUMP: Tally(newest_ms=90, skew_ms=-7)}))
        await ledger.commit(Entry(tallies={_PUMP: Tally(stored=1)}))
        past = ledger.recall(_PUMP)

    assert (past.newest_ms, past.skew.ms) == (90, -7)


async def test_ledger_what_is_spooled_is_in_flight(tmp_path: Path) -> None:
    """From the hand-over over the spool into the store: received never changes."""
    received = []
    async with Ledger(tmp_path / "ingest.db") as ledger:
        entry = Entry(tallies={_PUMP: Tally(stored=4)})
        ledger.expect(entry)
        received.append(ledger.totals())
        entry.tallies[_PUMP] = Tally(spooled=4)
        await ledger.commit(entry)
        received.append(ledger.totals())
        spooled = await ledger.view(_PUMP)
    async with Ledger(tmp_path / "ingest.db") as ledger:
        received.append(ledger.totals())
        await ledger.commit(Entry(tallies={_PUMP: Tally(stored=3, dead=1, spooled=-4)}))
        received.append(ledger.totals())

    assert [one.received for one in received] == [4, 4, 4, 4]
    assert [one.in_flight for one in received] == [4, 4, 4, 0]
    assert (spooled.received, spooled.in_flight) == (4, 4)


async def test_ledger_in_flight_may_be_below_zero(tmp_path: Path) -> None:
    """What is taken off first and added later leaves nothing behind, in whatever order."""
    async with Ledger(tmp_path / "ingest.db") as ledger:
        moved = Entry(tallies={_PUMP: Tally(stored=2, dead=-5)})
        ledger.expect(moved)
        below = await ledger.view(_PUMP)
        await ledger.commit(moved)
        after = await ledger.view(_PUMP)

    assert (below.in_flight, after.in_flight, after.received) == (-3, 0, -3)


async def test_ledger_takes_a_file_from_before_letters_were_marked(tmp_path: Path) -> None:
    """A file of an earlier version gets its new column, and its letters stay."""
    path = tmp_path / "ingest.db"
    async with Ledger(path) as ledger:
        await ledger.commit(Entry(letters=[_letter(1)]))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE dead_letters DROP COLUMN is_shortened")
        connection.execute("ALTER TABLE devices DROP COLUMN late")
        connection.execute("ALTER TABLE boots DROP COLUMN missing")
        connection.execute("DROP TABLE moments")

    async with Ledger(path) as ledger:
        await ledger.commit(Entry(letters=[replace(_letter(2), is_shortened=True)]))
        letters = await ledger.dead_letters()

    assert [(one.reason, one.is_shortened) for one in letters] == [
        ("reason 2", True),
        ("reason 1", False),
    ]
