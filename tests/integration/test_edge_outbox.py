"""The outbox on disk: against a model in memory, over restarts, damage and a full disk."""

import logging
import multiprocessing
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_agent.errors import OutboxFailed, OutboxUnusable
from edge_agent.outbox import ROW_OVERHEAD_BYTES, Gap, Outbox, Sample
from edge_agent.outbox_file import ASIDE_NAME, FILE_NAME, open_outbox
from edge_agent.settings import OutboxLimits
from tidegate.errors import Misconfigured
from wire.ids import MetricName
from wire.messages import Ack

_NAME = MetricName("m")
# Where syncing costs nothing, so that many runs take little time.
_FAST_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
_LIMITS = OutboxLimits(max_bytes=600, max_age_s=60.0)


def _sample(ts_ms: int, text: str = "x") -> Sample:
    return Sample(ts_ms, {_NAME: text})


def _cost(sample: Sample) -> int:
    return len(f'{{"m":"{sample.values[_NAME]}"}}') + ROW_OVERHEAD_BYTES


class OutboxMachine(RuleBasedStateMachine):
    """Whatever is done to the outbox, it holds what a list in memory holds."""

    @initialize()
    def begin(self) -> None:
        """Open an empty outbox beside an empty model."""
        self.folder = Path(tempfile.mkdtemp(dir=_FAST_FOLDER))
        self.now_ms = 1_000_000
        self.held: dict[int, Sample] = {}
        self.next_seq = 1
        self.dropped = 0
        self.gap: Gap | None = None
        self.boots = 0
        self.outbox = self._open()
        self.boot = self.outbox.state.boot

    @rule(
        sizes=st.lists(st.integers(0, 150), min_size=1, max_size=5),
        wait_s=st.sampled_from([0, 1, 25, 59, 61]),
    )
    def append(self, sizes: list[int], wait_s: int) -> None:
        """Keep some readings, some time later."""
        self.now_ms += wait_s * 1_000
        samples = [_sample(self.now_ms, "x" * size) for size in sizes]

        self.outbox.append(samples, self.now_ms)

        for sample in samples:
            self.held[self.next_seq] = sample
            self.next_seq += 1
        while len(self.held) > 1 and self._oldest_must_go():
            self._drop_oldest()

    @rule(ahead=st.integers(-1, 8), is_ours=st.sampled_from([True, True, False]))
    def acknowledge(self, ahead: int, is_ours: bool) -> None:  # noqa: FBT001 - drawn
        """Acknowledge up to somewhere, for our boot or another."""
        seq = min(min(self.held, default=self.next_seq) + ahead, self.next_seq - 1)
        freed = [held for held in self.held if held <= seq and is_ours]

        assert self.outbox.acknowledge(Ack(self.boot if is_ours else "other", seq)) == bool(freed)

        for held in freed:
            del self.held[held]
        if freed:
            self.gap = None

    @rule(ahead=st.integers(0, 3))
    def drop(self, ahead: int) -> None:
        """Drop the oldest few on purpose."""
        seq = min(self.held, default=self.next_seq) + ahead
        self.outbox.drop_until(seq)
        while self.held and min(self.held) <= seq:
            self._drop_oldest()

    @rule()
    def reopen(self) -> None:
        """Stop the agent and start it again."""
        self.outbox.close()
        self.outbox = self._open()

    @rule()
    def begin_new_boot(self) -> None:
        """Renumber from 1."""
        self.boots += 1
        self.boot = f"boot{self.boots}"
        self.outbox.begin_new_boot(self.boot)
        self.held = {n + 1: self.held[seq] for n, seq in enumerate(sorted(self.held))}
        self.next_seq, self.gap = len(self.held) + 1, None

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        """Contents and state are those of the model."""
        readings = self.outbox.read(0, 1_000)
        assert [(r.seq, r.ts_ms, r.values) for r in readings] == [
            (seq, sample.ts_ms, sample.values) for seq, sample in sorted(self.held.items())
        ]
        state = self.outbox.state
        assert state.boot == self.boot
        assert (state.first, state.next_seq) == (
            min(self.held, default=self.next_seq),
            self.next_seq,
        )
        assert state.bytes_held == sum(map(_cost, self.held.values()))
        assert (state.dropped, state.gap) == (self.dropped, self.gap)
        assert len(self.held) <= 1 or state.bytes_held <= _LIMITS.max_bytes

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.outbox.close()
        shutil.rmtree(self.folder)

    def _open(self) -> Outbox:
        return open_outbox(self.folder, _LIMITS)

    def _oldest_must_go(self) -> bool:
        oldest = self.held[min(self.held)]
        too_old = oldest.ts_ms < self.now_ms - int(_LIMITS.max_age_s * 1_000)
        return too_old or sum(map(_cost, self.held.values())) > _LIMITS.max_bytes

    def _drop_oldest(self) -> None:
        seq = min(self.held)
        del self.held[seq]
        self.dropped += 1
        self.gap = Gap(self.gap.from_seq if self.gap else seq, seq)


OutboxMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
test_outbox_equals_its_model = pytest.mark.timeout(120)(OutboxMachine.TestCase)


def test_outbox_drops_the_oldest_beyond_its_age_and_its_size(tmp_path: Path) -> None:
    """What is too old goes, then what is too much; the gap is counted, kept, and passed."""
    outbox = open_outbox(tmp_path, _LIMITS)
    outbox.append([_sample(0), _sample(1)], now_ms=0)
    outbox.append([_sample(60_001)], now_ms=60_001)
    assert (outbox.state.first, outbox.state.gap) == (2, Gap(1, 1))

    outbox.append([_sample(60_001, "x" * 400)], now_ms=60_001)
    outbox.append([_sample(60_001, "x" * 400)], now_ms=60_001)
    outbox.close()
    outbox = open_outbox(tmp_path, _LIMITS)

    assert (outbox.state.first, outbox.state.next_seq) == (5, 6)
    assert (outbox.state.gap, outbox.state.dropped) == (Gap(1, 4), 4)
    outbox.acknowledge(Ack(outbox.state.boot, 5))
    assert (outbox.state.gap, outbox.state.dropped) == (None, 4)
    outbox.close()


def test_outbox_continues_its_boot_and_sequence_over_a_restart(tmp_path: Path) -> None:
    """A restart neither begins a new boot nor gives a sequence twice, even when all is acked."""
    outbox = open_outbox(tmp_path, OutboxLimits())
    outbox.append([_sample(1), _sample(2)], now_ms=2)
    before = outbox.state
    outbox.acknowledge(Ack(before.boot, 2))
    outbox.close()

    again = open_outbox(tmp_path, OutboxLimits())
    again.append([_sample(3)], now_ms=3)

    assert again.state.boot == before.boot
    assert [reading.seq for reading in again.read(0, 9)] == [3]
    again.close()


@pytest.mark.parametrize("damage", [b"", b"this is not a database" * 500])
def test_damaged_outbox_is_set_aside_and_a_new_boot_begins(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Damage never keeps the agent from starting; the damaged file is kept for a look."""
    caplog.set_level(logging.WARNING)
    outbox = open_outbox(tmp_path, OutboxLimits())
    outbox.append([_sample(n, "x" * 500) for n in range(200)], now_ms=1)
    boot = outbox.state.boot
    outbox.close()
    file = tmp_path / FILE_NAME
    whole = file.read_bytes()
    # Either all of it, or pages in its middle, as a dying SD card does: only a check finds those.
    middle = len(whole) // 8_192 * 4_096
    file.write_bytes(damage or whole[:middle] + b"\xff" * 8_192 + whole[middle + 8_192 :])

    fresh = open_outbox(tmp_path, OutboxLimits())

    assert fresh.state.boot != boot
    assert (fresh.state.first, fresh.state.next_seq) == (1, 1)
    assert (tmp_path / ASIDE_NAME).exists()
    assert "outbox.set_aside" in caplog.text
    fresh.append([_sample(1)], now_ms=1)
    fresh.close()


def _hold(folder: Path, ready: "multiprocessing.Event", done: "multiprocessing.Event") -> None:  # type: ignore[valid-type]
    outbox = open_outbox(folder, OutboxLimits())
    ready.set()  # type: ignore[attr-defined]
    done.wait(30)  # type: ignore[attr-defined]
    outbox.close()


def test_outbox_of_another_agent_is_refused(tmp_path: Path) -> None:
    """Two agents never share a folder: the second is told so."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(30)

    with pytest.raises(Misconfigured, match="another agent uses it"):
        open_outbox(tmp_path, OutboxLimits(), busy_timeout_s=0.2)

    done.set()
    holder.join(30)
    open_outbox(tmp_path, OutboxLimits()).close()


def test_outbox_in_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is one clear error."""
    (tmp_path / "file").touch()

    with pytest.raises(OutboxUnusable, match="--data"):
        open_outbox(tmp_path / "file" / "data", OutboxLimits())


def test_outbox_survives_a_full_disk(tmp_path: Path) -> None:
    """What does not fit is refused whole, what was kept stays, and later appends work."""
    open_outbox(tmp_path, OutboxLimits()).close()
    file = tmp_path / FILE_NAME
    database = sqlite3.connect(file, isolation_level=None)
    outbox = Outbox(file, OutboxLimits(), connection=database)
    outbox.append([_sample(1)], now_ms=1)
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(OutboxFailed, match="full"):
        outbox.append([_sample(2, "x" * 100_000)], now_ms=2)
    assert not database.in_transaction
    database.execute("PRAGMA max_page_count = 100000")
    outbox.append([_sample(3)], now_ms=3)

    assert [(reading.seq, reading.ts_ms) for reading in outbox.read(0, 9)] == [(1, 1), (2, 3)]
    outbox.close()


def test_outbox_undoes_an_append_that_fails_halfway(tmp_path: Path) -> None:
    """A row that SQLite cannot take leaves neither a part of its batch nor an open transaction."""
    outbox = open_outbox(tmp_path, OutboxLimits())

    with pytest.raises(OverflowError):
        outbox.append([_sample(1), _sample(2**70)], now_ms=1)
    outbox.append([_sample(3)], now_ms=3)

    assert [(reading.seq, reading.ts_ms) for reading in outbox.read(0, 9)] == [(1, 3)]
    outbox.close()


def test_outbox_file_stays_bounded(tmp_path: Path) -> None:
    """Without any acknowledgement the file stays near its bound, whatever passes through."""
    limits = OutboxLimits(max_bytes=256 * 1024)
    outbox = open_outbox(tmp_path, limits)

    for batch in range(100):
        outbox.append([_sample(batch, "x" * 200) for _ in range(100)], now_ms=batch)

    outbox.close()
    assert outbox.state.dropped > 8_000
    assert (tmp_path / FILE_NAME).stat().st_size < 2 * limits.max_bytes
