"""The ledger's journal: what is pending counts like what is written, whoever reads, whenever."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.ingest.ledger.accounts import BootRow, Counts, Entry, Gap, Holes, NewLetter, Tally
from cloud.ingest.ledger.file import LedgerAway, LedgerFile
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.limits import Limits
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_DEVICES = [DeviceKey(tenant_id("acme"), device_id(f'd"{number}')) for number in range(5)]
_BOOTS = ("k", "l'", 'm"')
# Everything happens within a few batches.
_TIGHT = Limits(boots_of_a_device=2, notes=4, pending=4, share=1)

_Change = tuple[int, int, int, int]
_changes = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(-2, 3), st.integers(0, 2)),
    min_size=1,
    max_size=6,
)


class _Model:
    """What the ledger has to say, kept in dictionaries."""

    def __init__(self) -> None:
        self.boots: dict[DeviceKey, dict[str, BootRow]] = {one: {} for one in _DEVICES}
        self.tallies: dict[DeviceKey, Tally] = {}
        self.clock = 0

    def entry(self, changes: list[_Change]) -> Entry:
        """Make the entry of a batch, and take it in."""
        entry = Entry()
        for at, boot, spooled, missing in changes:
            device, name = _DEVICES[at], _BOOTS[boot]
            self.clock += 1
            entry.tallies[device] = self._tally(device, spooled)
            row = BootRow(
                device, name, [(missing + 1, self.clock)], 1, 0, self.clock, 0, 0, Holes(missing, 1)
            )
            entry.boots = [one for one in entry.boots if one[:2] != row[:2]] + [row]
        for device, tally in entry.tallies.items():
            self._add(device, tally)
        for row in entry.boots:
            self._put(entry, row)
        return entry

    def _tally(self, device: DeviceKey, spooled: int) -> Tally:
        gap = Gap("k", 1, 1, self.clock) if spooled == 1 else None
        skew_ms = self.clock if spooled else None
        return Tally(1, 2, 3, 4, self.clock, spooled, 1, self.clock, skew_ms, gap)

    def _add(self, device: DeviceKey, tally: Tally) -> None:
        sums = self.tallies.setdefault(device, Tally())
        for name in ("stored", "duplicate", "dead", "filtered", "spooled", "late"):
            setattr(sums, name, getattr(sums, name) + getattr(tally, name))
        sums.heard_at_ms, sums.newest_ms = tally.heard_at_ms, tally.newest_ms
        sums.skew_ms = sums.skew_ms if tally.skew_ms is None else tally.skew_ms
        sums.gap = tally.gap or sums.gap

    def _put(self, entry: Entry, row: BootRow) -> None:
        boots = self.boots[row.device]
        if row.boot not in boots:
            entry.devices_with_new_boots.add(row.device)
        boots[row.boot] = row
        while len(boots) > _TIGHT.boots_of_a_device:
            del boots[min(boots, key=lambda name: boots[name].heard_at_ms)]


def _check(file: LedgerFile, model: _Model) -> None:
    """The file says what the model says, in every way in which it can be asked."""
    for device, boots in model.boots.items():
        tally = model.tallies.get(device, Tally())
        counts, skew_ms, gap = file.account(device)
        rows = sorted(boots.values(), key=lambda row: row.heard_at_ms)

        assert (counts, skew_ms) == (_counts(tally), tally.skew_ms)
        assert gap == (None if tally.gap is None else msgspec.json.encode(tally.gap).decode())
        assert [(one.boot, one.first) for one in file.boots(device)] == [
            (row.boot, row.spans[0][0]) for row in rows
        ]
    known = model.tallies
    kept = [row.holes for boots in model.boots.values() for row in boots.values()]
    assert file.heard() == {one: tally.heard_at_ms for one, tally in known.items()}
    assert file.spooled() == {one: tally.spooled for one, tally in known.items() if tally.spooled}
    assert file.totals() == tuple(
        map(sum, zip(Counts(), *map(_counts, known.values()), strict=True))
    )
    assert file.holes() == (sum(one.missing for one in kept), sum(one.declared for one in kept))


def _check_memory(file: LedgerFile, model: _Model) -> None:
    """What the only writer is reminded of is what the model says, too."""
    for device, boots in model.boots.items():
        tally, past = model.tallies.get(device, Tally()), file.recall(device)
        rows = sorted(boots.values(), key=lambda row: row.heard_at_ms)

        assert (past.skew.ms, past.newest_ms) == (tally.skew_ms, tally.newest_ms)
        assert [(name, spans.intervals(), spans.told) for name, spans in past.boots.items()] == [
            (row.boot, row.spans, row.holes) for row in rows
        ]


def _counts(tally: Tally) -> Counts:
    return Counts(
        tally.stored, tally.duplicate, tally.dead, tally.filtered, tally.spooled, tally.late
    )


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.tuples(_changes, st.integers(0, 5)), min_size=1, max_size=25))
def test_journal_is_never_seen(batches: list[tuple[list[_Change], int]]) -> None:
    """Who writes, who reads along, who takes turns and who opens it says the same at all times."""
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "ingest.db", _Model()
        one, other, rare = (LedgerFile(path, _TIGHT) for _ in range(3))
        for changes, kind in batches:
            (other if kind == 1 else one).commit(model.entry(changes))
            _check(one, model)
            _check(other, model)
            if kind == 2:
                one.close()
                one = LedgerFile(path, _TIGHT)
                _check_memory(one, model)
            if kind == 3:
                _check(rare, model)
        for file in (one, rare, other):
            _check(file, model)
            file.close()
        last = LedgerFile(path, _TIGHT)
        _check_memory(last, model)
        last.close()


class _Watched(LedgerFile):
    """A ledger that calls `before` each of its statements."""

    def watch(self, before: Callable[[str], None]) -> None:
        """Call `before` from now on."""
        self._writer.set_trace_callback(before)


def _copy(path: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        shutil.copy(path.with_name(name), folder / name)
    return folder / path.name


def test_journal_killed_at_any_statement_has_all_or_nothing(tmp_path: Path) -> None:
    """What a copy of the files says is the batch before, whole; after the commit, this one."""
    changes: list[_Change] = [(at, at % 3, at % 2, at) for at in range(3)]
    path, file = tmp_path / "ingest.db", _Watched(tmp_path / "ingest.db", _TIGHT)
    before, after, copies, statements = _Model(), _Model(), list[Path](), list[str]()

    def copy(statement: str) -> None:
        statements.append(statement)
        copies.append(_copy(path, tmp_path / f"copy-{len(statements)}"))

    file.watch(copy)
    for _ in range(12):
        copies.clear()
        file.commit(after.entry(changes))
        for at in copies:
            with closing(LedgerFile(at, _TIGHT)) as killed:
                _check(killed, before)
                _check_memory(killed, before)
        copy("-- committed")
        with closing(LedgerFile(copies[-1], _TIGHT)) as killed:
            _check_memory(killed, after)
            killed.commit(after.entry([]))
            _check(killed, after)
        before.entry(changes)
    file.close()

    for kind in ("INSERT INTO journal", "DELETE FROM journal", "INSERT INTO devices", "COMMIT"):
        assert any(kind in one for one in statements)


def test_journal_of_two_writers_by_turns_adds_up(tmp_path: Path) -> None:
    """Who writes has first read what others wrote, also when nobody asks in between."""
    model = _Model()
    files = [LedgerFile(tmp_path / "ingest.db", _TIGHT) for _ in range(2)]

    for turn in range(40):
        files[turn % 3 % 2].commit(model.entry([(turn % 4, 0, 1, 0), (turn % 3, 0, 0, 0)]))

    for file in files:
        _check(file, model)
        file.close()


def test_journal_failed_batch_changes_nothing(tmp_path: Path) -> None:
    """Whatever it would have settled is settled by the next one."""
    file, model = LedgerFile(tmp_path / "ingest.db", _TIGHT), _Model()
    changes: list[_Change] = [(at, 0, 0, 0) for at in range(5)]

    for _ in range(12):
        broken = Entry(tallies={one: Tally(1) for one in _DEVICES})
        broken.letters = [NewLetter(None, "t", "r", None, 1, 1)]  # type: ignore[arg-type]  # NOT NULL
        file.commit(model.entry(changes))
        with pytest.raises(LedgerAway):
            file.commit(broken)

        _check(file, model)
        _check_memory(file, model)
    file.close()


def test_journal_is_bounded(tmp_path: Path) -> None:
    """A fleet that goes on for ever leaves a few pages behind, and few devices pending."""
    file, model = LedgerFile(tmp_path / "ingest.db", Limits(notes=50, share=1)), _Model()
    changes: list[_Change] = [(at, 0, 0, 0) for at in range(5)]

    for _ in range(200):
        file.commit(model.entry(changes))
    with closing(sqlite3.connect(tmp_path / "ingest.db")) as connection:
        (pages,) = connection.execute("SELECT count(*) FROM journal").fetchone()

    assert 0 < pages < 30
    file.close()


async def test_journal_damaged_page_is_misconfigured(tmp_path: Path) -> None:
    """A page that cannot be read stops the start, and says where; nothing of it is guessed."""
    path = tmp_path / "ingest.db"
    async with Ledger(path) as ledger:
        await ledger.commit(Entry(tallies={_DEVICES[0]: Tally(1)}))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE journal SET page = x'00'")

    with pytest.raises(Misconfigured, match=r"ingest\.db.*journal"):
        async with Ledger(path):
            pass
