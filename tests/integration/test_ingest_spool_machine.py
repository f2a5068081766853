"""The spool against a list: appended, drained, killed and started again in any order."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloud.ingest.spool.frame import MAGIC
from cloud.ingest.spool.spool import SpoolFull
from cloud.ingest.spool.survey import Known
from cloud.settings import Spool as Settings
from tests.support.spools import draft, drain_all, files_in, seqs_of, spool_in

_SMALL = Settings(max_bytes=12 * 1024, keep_free_bytes=0)


class SpoolMachine(RuleBasedStateMachine):
    """`kept` is what the spool must hold; `known` what a ledger's transactions have kept."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.kept: list[tuple[int, list[int]]] = []
        self.known = Known(0, 0)
        self.seq = 0

    def teardown(self) -> None:
        """Drain what is left; delete the folder."""
        assert drain_all(self.spool) == [seq for _, seqs in self.kept for seq in seqs]
        assert files_in(self.folder, "") == []
        shutil.rmtree(self.folder)

    @initialize()
    def start(self) -> None:
        """Start on what the folder holds."""
        self.spool = spool_in(self.folder, _SMALL)
        there = self.spool.recover(self.known)
        assert sum(there.values()) == sum(len(seqs) for _, seqs in self.kept)
        assert self.spool.corrupt_files == 0

    @rule(readings=st.integers(1, 5))
    def put(self, readings: int) -> None:
        """Append a record, and let the ledger commit it."""
        seqs = self._append(readings)
        if seqs:
            self.kept.append((self.spool.last_id, seqs))
            self.known = Known(self.spool.last_id, self.known.drained)
            self.spool.confirm()

    @rule(readings=st.integers(1, 5))
    def die_before_commit(self, readings: int) -> None:
        """The record is durable, but the ledger never heard of it: it was not acknowledged."""
        self._append(readings)
        self.start()

    @rule(readings=st.integers(1, 5))
    def die_after_commit(self, readings: int) -> None:
        """The ledger has it, the spool was not told so."""
        seqs = self._append(readings)
        if seqs:
            self.kept.append((self.spool.last_id, seqs))
            self.known = Known(self.spool.last_id, self.known.drained)
        self.start()

    @rule(readings=st.integers(1, 12), dies=st.booleans())
    def drain(self, readings: int, *, dies: bool) -> None:
        """Take records off the front; with `dies`, the ledger has it and the files still stand."""
        front = self.spool.front(readings)
        if front is None:
            assert self.kept == []
            return
        count = len(front.contents)
        taken, self.kept = self.kept[:count], self.kept[count:]
        assert seqs_of(front.contents) == [seq for _, seqs in taken for seq in seqs]
        assert front.last_id == taken[-1][0]
        assert not front.is_damaged
        self.known = Known(self.known.appended, front.last_id)
        if dies:
            self.start()
        else:
            self.spool.drained(front)

    @rule(readings=st.integers(1, 12))
    def die_while_storing(self, readings: int) -> None:
        """Read from the front, and dead before the ledger knows."""
        self.spool.front(readings)
        self.start()

    @precondition(lambda self: self.kept)
    @rule(garbage=st.binary(min_size=1, max_size=40))
    def die_while_writing(self, garbage: bytes) -> None:
        """The last file ends in the middle of a record."""
        path = files_in(self.folder)[-1]
        with path.open("ab") as file:
            file.write(MAGIC + garbage)
        self.start()

    @invariant()
    def counts_are_right(self) -> None:
        """Records, readings, and whether anything is left."""
        assert self.spool.records == len(self.kept)
        assert self.spool.readings == sum(len(seqs) for _, seqs in self.kept)
        assert self.spool.is_empty == (not self.kept)
        sizes = sum(path.stat().st_size for path in files_in(self.folder))
        assert self.spool.size_bytes == sizes <= _SMALL.max_bytes

    def _append(self, readings: int) -> list[int]:
        seqs = list(range(self.seq + 1, self.seq + readings + 1))
        try:
            self.spool.append(draft(seqs))
        except SpoolFull:
            assert self.spool.is_full
            return []
        self.seq += readings
        return seqs


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
