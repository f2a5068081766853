"""The spool's files: whatever happens to them, what can be read is used, and nothing is made up."""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.ingest.spool.folder import MAX_SET_ASIDE
from cloud.ingest.spool.front import MOST_BYTES
from cloud.ingest.spool.spool import Spool, SpoolFull
from cloud.ingest.spool.survey import Known
from cloud.ingest.spooling import draft_of
from cloud.settings import Spool as Settings
from tests.support.spools import (
    ROOMY,
    batch_of,
    draft,
    drain_all,
    files_in,
    payload_of,
    put,
    seqs_of,
    spool_in,
)
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey, device_id, tenant_id

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_NEW = Known(0, 0)
_RECORDS = [[1, 2], [3], [4, 5, 6]]


@contextmanager
def _three_records() -> Iterator[tuple[Path, list[int]]]:
    """Return a folder with one file of three records, and where each of them ends."""
    with TemporaryDirectory() as name:
        folder, ends = Path(name), list[int]()
        spool = spool_in(folder)
        spool.recover(_NEW)
        for seqs in _RECORDS:
            put(spool, seqs)
            ends.append(spool.size_bytes)
        yield folder, ends


def test_spool_gives_back_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    """First in, first out, over several files; a file goes when all of it is drained."""
    small = Settings(max_bytes=8 * 1024, keep_free_bytes=0)
    spool = spool_in(tmp_path, small)
    spool.recover(_NEW)
    for seq in range(1, 21):
        put(spool, [seq])

    held = (spool.records, spool.readings, spool.size_bytes)
    sizes = [path.stat().st_size for path in files_in(tmp_path)]
    found = drain_all(spool)

    assert held == (20, 20, sum(sizes))
    assert len(sizes) > 1
    assert found == list(range(1, 21))
    assert (spool.is_empty, spool.records, spool.readings, spool.size_bytes) == (True, 0, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_spool_gives_back_no_more_than_memory_holds(tmp_path: Path) -> None:
    """However well records pack: a front ends once its payloads are as large as may be."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    blank = b" " * (MOST_BYTES // 20)
    large = draft_of(batch_of(("pump", payload_of(seq) + blank) for seq in range(1, 21)))
    for _ in range(3):
        spool.append(large)
        spool.confirm()

    parts = []
    while (front := spool.front(10**6)) is not None:
        parts.append(len(front.contents))
        spool.drained(front)

    assert parts == [1, 1, 1]


def test_spool_shows_a_record_only_when_confirmed(tmp_path: Path) -> None:
    """What the ledger has not committed is not drained, and is cut off at the next start."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    put(spool, [1])
    spool.append(draft([2]))
    seen = drain_all(spool)

    again = spool_in(tmp_path)
    there = again.recover(Known(1, 0))

    assert (seen, there) == ([1], {_PUMP: 1})
    assert put(again, [3]) == 2
    assert drain_all(again) == [1, 3]


def test_spool_keeps_what_a_new_ledger_does_not_know(tmp_path: Path) -> None:
    """The ledger was lost or restored: its records may have been acknowledged."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    for seqs in _RECORDS:
        put(spool, seqs)

    lost, restored = spool_in(tmp_path), spool_in(tmp_path)

    assert lost.recover(Known()) == {_PUMP: 6}
    assert restored.recover(Known(1, 0)) == {_PUMP: 6}
    assert put(restored, [7]) == 4


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_spool_survives_any_flipped_byte(data: st.DataObject) -> None:
    """The record with the byte is lost, the others are drained, the file is set aside."""
    with _three_records() as (folder, ends):
        (path,) = files_in(folder)
        place = data.draw(st.integers(0, ends[-1] - 1))
        content = bytearray(path.read_bytes())
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        damaged = sum(place >= end for end in ends)
        expected = [seqs for index, seqs in enumerate(_RECORDS) if index != damaged]

        spool = spool_in(folder)
        there = spool.recover(Known(3, 0))

        assert there == {_PUMP: sum(map(len, expected))}
        assert spool.corrupt_files == 1
        assert drain_all(spool) == [seq for seqs in expected for seq in seqs]
        assert len(files_in(folder, ".corrupt")) == 1
        assert files_in(folder) == []


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_spool_survives_any_truncation(data: st.DataObject) -> None:
    """Behind what was committed it is a torn end, cut off without a word; before, it is damage."""
    with _three_records() as (folder, ends):
        (path,) = files_in(folder)
        size, appended = data.draw(st.integers(0, ends[-1] - 1)), data.draw(st.integers(0, 3))
        os.truncate(path, size)
        whole = sum(end <= size for end in ends)
        expected = [seq for seqs in _RECORDS[: min(whole, appended)] for seq in seqs]
        if whole > appended + 1:  # never so: the ledger is the older one, all is kept
            expected = [seq for seqs in _RECORDS[:whole] for seq in seqs]
        is_lost = whole < appended and size != ([0, *ends])[whole]

        spool = spool_in(folder)
        there = spool.recover(Known(appended, 0))

        assert there.get(_PUMP, 0) == len(expected)
        assert bool(spool.corrupt_files) == is_lost or whole > appended + 1
        assert drain_all(spool) == expected
        assert put(spool, [9]) == max(appended, whole if whole > appended + 1 else 0) + 1
        assert drain_all(spool) == [9]


def test_spool_sets_a_foreign_file_aside(tmp_path: Path) -> None:
    """What is no file of ours is kept, of other names nothing is touched; of many, the newest."""
    for number in range(MAX_SET_ASIDE + 3):
        (tmp_path / f"{number:03d}.seg").write_bytes(b"somebody's notes" * number)
    (tmp_path / "README").write_text("mine")
    spool = spool_in(tmp_path)

    there = spool.recover(_NEW)

    kept = [path.name for path in files_in(tmp_path, ".corrupt")]
    assert there == {}
    assert kept == [f"{number:03d}.seg.corrupt" for number in range(3, MAX_SET_ASIDE + 3)]
    assert (tmp_path / "README").read_text() == "mine"
    assert put(spool, [1]) == 1
    assert drain_all(spool) == [1]


def test_spool_believes_no_copy_under_another_name(tmp_path: Path) -> None:
    """A record in a payload or a copied file has not this file's key: it is not taken twice."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    put(spool, [1])
    (path,) = files_in(tmp_path)
    shutil.copy(path, tmp_path / f"{1:020d}-{'0' * 32}.seg")

    again = spool_in(tmp_path)

    assert again.recover(Known(1, 0)) == {_PUMP: 1}
    assert drain_all(again) == [1]


def test_spool_counts_a_file_once_however_often_it_goes_bad(tmp_path: Path) -> None:
    """Two places that go bad one after the other are two losses in one damaged file."""
    spool, ends = spool_in(tmp_path), list[int]()
    spool.recover(_NEW)
    for seqs in _RECORDS:
        put(spool, seqs)
        ends.append(spool.size_bytes)
    (path,) = files_in(tmp_path)

    damaged = []
    for end in (ends[0], ends[2]):
        _harm(path, "flip", at=end - 1)
        front = spool.front(1)
        assert front is not None
        damaged.append(front.is_damaged)
        spool.drained(front)

    assert damaged == [True, True]
    assert spool.corrupt_files == 1


@pytest.mark.parametrize("harm", ["flip", "cut", "delete"])
def test_spool_finds_damage_while_it_runs(tmp_path: Path, harm: str) -> None:
    """A file that goes bad after the start: told once, and the census says what is left."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    for seqs in _RECORDS:
        put(spool, seqs)
    (path,) = files_in(tmp_path)
    _harm(path, harm, at=spool.size_bytes // 2)

    front = spool.front(100)
    assert front is not None
    there = spool.census()

    left = len(seqs_of(front.contents))
    assert front.is_damaged
    assert sum(there.values()) == left == spool.readings < 6
    spool.drained(front)
    assert (spool.is_empty, spool.readings, spool.corrupt_files) == (True, 0, 1)
    assert put(spool, [9]) == 4
    assert drain_all(spool) == [9]


def test_spool_is_full_at_its_bound_and_takes_again(tmp_path: Path) -> None:
    """Refused is refused whole; room comes with the first file that is drained."""
    record = draft([1]).size_bytes
    spool = spool_in(tmp_path, Settings(max_bytes=record * 8, keep_free_bytes=0))
    spool.recover(_NEW)
    taken = [put(spool, [seq]) for seq in range(1, 9)]
    with pytest.raises(SpoolFull, match=r"ingest\.spool\.max_bytes"):
        spool.append(draft([9]))
    was_full, size = spool.is_full, spool.size_bytes

    front = spool.front(3)
    assert front is not None
    spool.drained(front)

    assert (taken, was_full, size) == (list(range(1, 9)), True, record * 8)
    assert not spool.is_full
    assert put(spool, [9]) == 9
    assert drain_all(spool) == [seq for seq in range(1, 10) if seq not in seqs_of(front.contents)]


def test_spool_leaves_the_disk_its_room(tmp_path: Path) -> None:
    """What is to be kept free is; and a spool of no size takes nothing."""
    for limits, text in (
        (Settings(keep_free_bytes=2**60), "keep_free"),
        (Settings(0), "max_bytes"),
    ):
        spool = spool_in(tmp_path, limits)
        spool.recover(_NEW)
        with pytest.raises(SpoolFull, match=text):
            spool.append(draft([1]))
        assert spool.is_full
        assert spool.size_bytes == 0


@contextmanager
def _no_file_above(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse to make any file larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_spool_leaves_no_half_record_on_a_full_disk(tmp_path: Path) -> None:
    """The write stops in the middle of a record: it is taken back, and the next one fits."""
    spool = spool_in(tmp_path)
    spool.recover(_NEW)
    put(spool, [1])
    whole = spool.size_bytes
    with _no_file_above(whole + 40), pytest.raises(SpoolFull, match="File too large"):
        spool.append(draft([2]))
    after = [path.stat().st_size for path in files_in(tmp_path)]

    again = put(spool, [3])

    assert (after, again) == ([whole], 2)
    restarted = spool_in(tmp_path)
    assert restarted.recover(Known(2, 0)) == {_PUMP: 2}
    assert restarted.corrupt_files == 0
    assert drain_all(restarted) == [1, 3]


def test_spool_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """That is the operator's to correct, before anything is received."""
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(Misconfigured, match="cannot be opened"):
        Spool(tmp_path / "spool", ROOMY)


def _harm(path: Path, harm: str, *, at: int) -> None:
    if harm == "delete":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, at)
    else:
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
