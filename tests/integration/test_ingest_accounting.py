"""Whatever is delivered, redelivered, crashed and replayed: the ledger says what became of it."""

import tempfile
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prometheus_client import CollectorRegistry

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.ledger.accounts import Letter, LetterQuery
from cloud.ingest.ledger.balance import Balance
from cloud.ingest.ledger.file import LedgerFile
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.metrics import LedgerMetrics
from cloud.ingest.messages import Messages
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Flaky, running, until
from wire.ids import DeviceKey, device_id, tenant_id

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_TOPIC = b"t/acme/pump/telemetry"
_NOW_MS = 1_700_000_000_000
_LATER_MS = _NOW_MS + 10_000_000
_LIMIT_MS = _NOW_MS + 600_000


class _Point(NamedTuple):
    """What a reading is called, and when it was: too late to be believed now, or not."""

    name: int
    is_future: bool

    @property
    def ts_ms(self) -> int:
        return (_LIMIT_MS + 1_000 if self.is_future else _NOW_MS) + self.name


class _Message(NamedTuple):
    """A message as a device sends it: with sequences, with times only, or junk (no points)."""

    points: tuple[_Point, ...]
    has_sequences: bool

    def payload(self) -> bytes:
        if not self.points:
            return b"junk"
        points = [
            {"ts": one.ts_ms, "values": {"t": 1.0}, "seq": one.name if self.has_sequences else None}
            for one in self.points
        ]
        boot = {"boot": "k"} if self.has_sequences else {}
        return msgspec.json.encode({**boot, "points": points})


@dataclass
class _Model:
    """What the ledger should say."""

    fates: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[bool, _Point | int]] = field(default_factory=set)

    def take(self, message: _Message, *, is_rejected: bool) -> None:
        if not message.points:
            self.fates["dead"] += 1
        for one in message.points:
            name = (message.has_sequences, one.name if message.has_sequences else one)
            if name in self.seen:
                self.fates["duplicate"] += 1
                continue
            self.seen.add(name)
            self.fates["dead" if one.is_future or is_rejected else "stored"] += 1


class _UnderWay(NamedTuple):
    batch: Batch
    messages: list[_Message]
    rejected: set[int]


_points = st.builds(_Point, st.integers(1, 12), st.sampled_from([False, False, False, True]))
_messages = st.builds(
    _Message,
    st.lists(_points, max_size=4, unique_by=lambda one: one.name).map(tuple),
    st.booleans(),
)


class Accounting(RuleBasedStateMachine):
    """A broker that keeps what was not acknowledged, an intake, a ledger, and crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model = _Model()
        self.unacknowledged: deque[_Message] = deque()

    @initialize()
    def start(self) -> None:
        """Start, for the first time or after a crash: nothing is known but what is on disk."""
        self.file = LedgerFile(Path(self.folder.name) / "ingest.db")
        self.balance = Balance(self.file.totals(), self.file.holes())
        self.intake = Intake(self.file, Settings())
        self.under_way: deque[_UnderWay] = deque()
        self.replaying: dict[int, int] = {}
        self.delivered = 0

    @rule(message=_messages, times=st.integers(1, 2))
    def publish(self, message: _Message, times: int) -> None:
        """A device sends a message, once or twice."""
        self.unacknowledged += [message] * times

    @precondition(lambda self: self.delivered < len(self.unacknowledged))
    @rule(count=st.integers(1, 5), rejects=st.booleans())
    def fill(self, count: int, *, rejects: bool) -> None:
        """The broker delivers some of what it keeps; the store may refuse the first message."""
        waiting = list(self.unacknowledged)[self.delivered :][:count]
        self.delivered += len(waiting)
        batch = self._filled(_chunk([message.payload() for message in waiting]))
        rejected = {0} if rejects and batch.taken[0] else set()
        self.under_way.append(_UnderWay(batch, waiting, rejected))

    @precondition(lambda self: self._replayable())
    @rule(pick=st.integers(0, 10))
    def replay(self, pick: int) -> None:
        """Somebody replays a letter at a time when its readings can be believed."""
        letters = self._replayable()
        letter = letters[pick % len(letters)]
        only = None if letter.only is None else frozenset(letter.only)
        chunk = _chunk([letter.payload])
        chunk.replay = Replay(letter.id, letter.readings, _LATER_MS, only, letter.device)
        batch = self._filled(chunk)
        self.replaying[letter.id] = 0 if letter.payload == b"junk" else letter.readings
        self.under_way.append(_UnderWay(batch, [], set()))

    @precondition(lambda self: self.under_way)
    @rule()
    def commit(self) -> None:
        """The oldest batch is stored, committed and acknowledged."""
        self._commit()
        self._acknowledge()

    @precondition(lambda self: self.under_way)
    @rule()
    def crash_before_acknowledging(self) -> None:
        """Killed between the ledger's commit and the acknowledgement."""
        self._commit()
        self.crash()

    @rule()
    def crash(self) -> None:
        """Killed: what was under way is forgotten, and delivered again."""
        self.file.close()
        self.start()

    @invariant()
    def adds_up(self) -> None:
        """The counts are the model's; what is received is what has or waits for its fate."""
        counts = self.file.account(_PUMP)[0]
        fates = self.model.fates
        expected = tuple(fates[name] for name in ("stored", "duplicate", "dead", "filtered"))
        totals = self.balance.totals()
        waiting = sum(one.batch.entry.tallies[_PUMP].readings() for one in self.under_way)

        assert counts[:4] == expected
        assert (totals.stored, totals.duplicate, totals.dead, totals.filtered) == expected
        assert totals.in_flight == self.balance.in_flight(_PUMP) == waiting >= 0
        assert totals.received == sum(expected) + waiting
        assert sum(one.readings for one in self.file.letters(LetterQuery())) == fates["dead"]
        assert (totals.missing, totals.declared) == self.file.holes()

    def teardown(self) -> None:
        """Let everything come to an end: then nothing is in flight, and all adds up."""
        while self.delivered < len(self.unacknowledged):
            self.fill(5, rejects=False)
        while self.under_way:
            self.commit()
        self.adds_up()
        assert not self.unacknowledged
        assert self.balance.totals().in_flight == 0
        self.file.close()
        self.folder.cleanup()

    def _filled(self, chunk: Chunk) -> Batch:
        batch, backlog = Batch(), Backlog()
        backlog.chunks.append(chunk)
        self.intake.fill(batch, backlog)
        batch.seal()
        self.balance.expect(batch.entry)
        return batch

    def _commit(self) -> None:
        batch, messages, rejected = self.under_way[0]
        batch.reject(dict.fromkeys(rejected, "no"))
        self.balance.settle(batch.entry, self.file.commit(batch.entry))
        for index, message in enumerate(messages):
            self.model.take(message, is_rejected=index in rejected)
        for letter_id in batch.entry.closed_letters:
            moved = self.replaying.pop(letter_id)
            self.model.fates["dead"] -= moved
            self.model.fates["stored"] += moved

    def _acknowledge(self) -> None:
        done = self.under_way.popleft()
        for _ in done.messages:
            self.unacknowledged.popleft()
        self.delivered -= len(done.messages)

    def _replayable(self) -> list[Letter]:
        found = self.file.letters(LetterQuery())
        return [one for one in found if one.id not in self.replaying]


def _chunk(payloads: list[bytes]) -> Chunk:
    count = len(payloads)
    messages = Messages([_TOPIC] * count, payloads, [b"\0\1"] * count, [0x32] * count)
    return Chunk(messages, _NOW_MS, generation=1)


def _numbered(seq: int) -> bytes:
    return _Message((_Point(seq, is_future=False),), has_sequences=True).payload()


def test_ledger_counts_everything_once() -> None:
    """Random deliveries, redeliveries, crashes and replays end in what a simple model says."""
    run_state_machine_as_test(
        Accounting, settings=how(max_examples=50, stateful_step_count=30, deadline=None)
    )


async def test_ledger_balance_on_metrics_always_adds_up(tmp_path: Path) -> None:
    """Scraped at any moment while messages flow: received is the sum of the others."""
    store = Flaky()
    async with running(tmp_path, store) as run:
        numbers = CollectorRegistry()
        numbers.register(LedgerMetrics(run.ledger))

        def number(fate: str) -> float:
            return numbers.get_sample_value("tidegate_ledger_readings", {"fate": fate}) or 0.0

        scrapes = []
        payloads = [_numbered(seq) for seq in range(1, 200)]
        for payload in payloads:
            run.service._inbox.put(_chunk([payload]))  # a message that nobody waits for
            sample = {name: number(name) for name in ("received", "in_flight", "stored")}
            view = await run.ledger.view(_PUMP)
            scrapes.append(sample)
            assert sample["received"] == sample["stored"] + sample["in_flight"]
            assert view.received == view.stored + view.in_flight
        await until(lambda: number("stored") == len(payloads))

    received = [one["received"] for one in scrapes]
    assert received == sorted(received)
    assert number("in_flight") == 0
    assert any(one["in_flight"] for one in scrapes)


async def test_ledger_counts_come_back(tmp_path: Path) -> None:
    """Totals, late readings and holes are those of before the restart."""
    async with Ledger(tmp_path / "ingest.db") as ledger:
        batch, backlog = Batch(), Backlog()
        backlog.chunks.append(_chunk([_numbered(1), _numbered(5)]))
        Intake(ledger, Settings()).fill(batch, backlog)
        batch.seal()
        ledger.expect(batch.entry)
        await ledger.commit(batch.entry)
        before, view = ledger.totals(), await ledger.view(_PUMP)

    async with Ledger(tmp_path / "ingest.db") as ledger:
        assert ledger.totals() == before
        assert (before.stored, before.missing) == (2, 3)
        assert view.last_gap is not None
        assert (view.last_gap.first, view.last_gap.last, view.last_gap.missing) == (2, 4, 3)
        assert await ledger.view(_PUMP) == view
        assert ledger.series_of(tenant_id("acme")) == 1
