"""Sources at their own intervals, and that one of them cannot hurt the others."""

import itertools
import logging
import math
import threading

import pytest

from edge_agent.clock import Clock
from edge_agent.collector import Collector
from edge_agent.filters import Deadband, Filter
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import outbox_in_memory
from edge_agent.settings import OutboxLimits
from edge_agent.sources.host import CpuTime, busy_pct, rates_per_s
from wire.messages import Value


class _Source:
    """A source that says what it is told to, or fails."""

    def __init__(self, name: str, interval_s: float, values: dict[str, Value] | None) -> None:
        self.name = name
        self.interval_s = interval_s
        self.values = values
        self.reads: list[float] = []

    def read(self, now_s: float) -> dict[str, Value]:
        self.reads.append(now_s)
        if self.values is None:
            raise RuntimeError("sensor is unplugged")
        return self.values


class _Time:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.clock = Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s)


def _collector(time: _Time, *sources: _Source) -> tuple[Collector, Outbox]:
    outbox = outbox_in_memory(OutboxLimits(), boot="b1")
    collector = Collector(
        sources, outbox, deadband=Deadband([]), clock=time.clock, on_kept=lambda: None
    )
    return collector, outbox


def test_collector_reads_each_source_at_its_own_interval() -> None:
    """A fast source does not wait for a slow one, nor hurry it."""
    time = _Time()
    fast, slow = _Source("fast", 2.0, {"a": 1.0}), _Source("slow", 5.0, {"b": 1.0})
    collector, outbox = _collector(time, fast, slow)

    while time.now_s <= 10.0:
        time.now_s += collector.collect_due()

    assert fast.reads == [0, 2, 4, 6, 8, 10]
    assert slow.reads == [0, 5, 10]
    assert outbox.state.next_seq - 1 == 9


def test_collector_does_not_make_up_for_time_asleep() -> None:
    """After a long pause a source is read once, then at its interval again."""
    time = _Time()
    source = _Source("a", 1.0, {"a": 1.0})
    collector, _ = _collector(time, source)
    collector.collect_due()

    time.now_s = 1_000.5
    collector.collect_due()
    time.now_s += collector.collect_due()
    collector.collect_due()

    assert source.reads == [0, 1_000.5, 1_001.5]


def test_collector_logs_a_failing_source_once(caplog: pytest.LogCaptureFixture) -> None:
    """A failing source is logged once, once more when it works again, and stops no other."""
    caplog.set_level(logging.INFO)
    time = _Time()
    broken, good = _Source("broken", 1.0, None), _Source("good", 1.0, {"a": 1.0})
    collector, outbox = _collector(time, broken, good)

    for _ in range(5):
        time.now_s += collector.collect_due()
    broken.values = {"b": 2.0}
    for _ in range(3):
        time.now_s += collector.collect_due()

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "source.broken.failed" in said[0]
    assert "source.broken.recovered" in said[1]
    assert len(good.reads) == len(broken.reads) == 8
    assert outbox.state.next_seq - 1 == 8 + 3


def test_collector_leaves_out_values_that_the_cloud_would_refuse() -> None:
    """A value that is not finite or badly named costs no other value of the reading."""
    time = _Time()
    values: dict[str, Value] = {"good": 3, "nan": math.nan, " edge": 1.0, "ok": True}
    values |= {"long": "x" * 5_000, "huge": 10**400, "half a pair": "\ud800", "\ud800": 1.0}
    collector, outbox = _collector(time, _Source("s", 1.0, values))

    collector.collect_due()

    (reading,) = outbox.read(1, 10)
    assert reading.values == {"good": 3.0, "ok": True}
    assert isinstance(reading.values["good"], float)  # type: ignore[index]


def test_collector_checks_values_before_filters_compare_them() -> None:
    """A number too large for a float does not stop a filter, nor is it remembered by one."""
    time = _Time()
    source = _Source("s", 1.0, {"a": 1.0})
    outbox = outbox_in_memory(OutboxLimits(), boot="b1")
    deadband = Deadband([Filter("*", deadband=0.5)])
    collector = Collector(
        [source], outbox, deadband=deadband, clock=time.clock, on_kept=lambda: None
    )

    for value in (1, 10**400, 1, 3):
        source.values = {"a": value, "b": value}
        time.now_s += collector.collect_due()

    assert [reading.values for reading in outbox.read(1, 10)] == [
        {"a": 1.0, "b": 1.0},
        {"a": 3.0, "b": 3.0},
    ]


def test_collector_survives_a_source_that_returns_nonsense() -> None:
    """What is no mapping of names to values costs this source's reading only."""
    time = _Time()
    broken = _Source("broken", 1.0, [1, 2])  # type: ignore[arg-type]  # the nonsense
    nameless = _Source("nameless", 1.0, {7: 1.0})  # type: ignore[dict-item]  # the nonsense
    collector, outbox = _collector(time, broken, nameless, _Source("good", 1.0, {"a": 1.0}))

    collector.collect_due()

    assert [reading.values for reading in outbox.read(1, 10)] == [{"a": 1.0}]


def test_collector_goes_on_after_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen error is logged once with its traceback; the thread goes on collecting."""
    caplog.set_level(logging.INFO)
    source, calls, done = _Source("s", 0.01, {"a": 1.0}), itertools.count(1), threading.Event()

    def buggy() -> None:
        number = next(calls)
        if number <= 3:
            raise ZeroDivisionError
        done.set()

    outbox = outbox_in_memory(OutboxLimits(), boot="b1")
    collector = Collector(
        [source],
        outbox,
        deadband=Deadband([]),
        clock=Clock(),
        on_kept=buggy,
        after_crash_s=0.01,
    )
    collector.start()

    assert done.wait(5.0)
    assert collector.stop(5.0)
    (crash,) = [record for record in caplog.records if "collector.failed" in record.message]
    assert "ZeroDivisionError" in crash.message
    assert crash.exc_info


def test_busy_pct_is_the_share_of_busy_time() -> None:
    """Processor use is measured between two reads and stays within 0 and 100."""
    assert busy_pct(CpuTime(10, 100), CpuTime(15, 110)) == 50.0
    assert busy_pct(CpuTime(10, 100), CpuTime(10, 100)) == 0.0
    assert busy_pct(CpuTime(10, 100), CpuTime(9, 110)) == 0.0


def test_rates_leave_out_counters_that_were_set_back() -> None:
    """A counter that starts anew, or is seen for the first time, has no rate."""
    rates = rates_per_s({"a": 100.0, "b": 50.0}, {"a": 300.0, "b": 10.0, "c": 1.0}, 2.0)

    assert rates == {"a": 100.0}
