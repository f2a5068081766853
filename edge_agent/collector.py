"""Reads the sources, each at its own interval, and puts what they say into the outbox."""

import heapq
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence

from edge_agent.clock import Clock
from edge_agent.errors import OutboxFailed
from edge_agent.filters import Deadband
from edge_agent.notice import Notice
from edge_agent.outbox import Outbox, Sample, Values
from edge_agent.sources.port import Source
from wire.codecs.checks import MAX_TEXT_CHARS
from wire.errors import Malformed
from wire.ids import metric_name
from wire.messages import Value

log = logging.getLogger(__name__)

AFTER_CRASH_S = 5.0
"""How long to wait after a bug that is not a source's own, before collecting goes on."""


def checked_value(name: str, value: object) -> Value:
    """Return a value as it travels; raise `Malformed` when the cloud would refuse it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _finite(name, value)
    if isinstance(value, str):
        return _encodable(name, value)
    raise Malformed(f"value of {name!r} is no number, truth or text")


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError as exc:
        raise Malformed(f"value of {name!r} is too large") from exc
    if not math.isfinite(number):
        raise Malformed(f"value of {name!r} is not finite")
    return number


def _encodable(name: str, text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise Malformed(f"value of {name!r} is longer than {MAX_TEXT_CHARS} characters")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        # Half of a surrogate pair, as Python makes it of bytes that are no text.
        raise Malformed(f"value of {name!r} is not valid Unicode") from exc
    return text


def next_due_s(due_s: float, interval_s: float, now_s: float) -> float:
    """Return when to read again; times missed (the machine slept) are not made up for."""
    return due_s + interval_s if due_s + interval_s > now_s else now_s + interval_s


class Collector:
    """One thread for all sources. A source that fails never stops the others."""

    def __init__(
        self,
        sources: Sequence[Source],
        outbox: Outbox,
        *,
        deadband: Deadband,
        clock: Clock,
        on_kept: Callable[[], None],
        after_crash_s: float = AFTER_CRASH_S,
    ) -> None:
        self._sources = sources
        self._outbox = outbox
        self._deadband = deadband
        self._clock = clock
        self._on_kept = on_kept
        self._after_crash_s = after_crash_s
        self._notices = {source.name: Notice(log, f"source.{source.name}") for source in sources}
        self._disk = Notice(log, "outbox")
        self._bad_values = Notice(log, "value")
        self._crashes = Notice(log, "collector")
        self._schedule = self._first_schedule(clock.monotonic_s())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-collector", daemon=True)
        self.lost_readings = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End after the reading under way; return whether it ended in time."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def collect_due(self) -> float:
        """Read every source that is due, keep what they say; return seconds until the next."""
        now_s = self._clock.monotonic_s()
        samples = []
        while self._schedule and self._schedule[0][0] <= now_s:
            due_s, index = heapq.heappop(self._schedule)
            source = self._sources[index]
            heapq.heappush(self._schedule, (next_due_s(due_s, source.interval_s, now_s), index))
            values = self._read(source, now_s)
            if values:
                samples.append(Sample(self._clock.wall_ms(), values))
        self._keep(samples)
        if not self._schedule:
            return math.inf
        return max(0.0, self._schedule[0][0] - self._clock.monotonic_s())

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(min(wait_s, threading.TIMEOUT_MAX)):
            wait_s = self._collect_supervised()

    def _collect_supervised(self) -> float:
        try:
            wait_s = self.collect_due()
        except Exception as exc:  # noqa: BLE001 - logged, with its traceback
            # The thread's supervisor: a bug costs what was just read, not all that the device
            # would measure from now on.
            self._crashes.failed(repr(exc), bug=exc)
            return self._after_crash_s
        self._crashes.worked()
        return wait_s

    def _first_schedule(self, now_s: float) -> list[tuple[float, int]]:
        schedule = [(now_s, index) for index in range(len(self._sources))]
        heapq.heapify(schedule)
        return schedule

    def _read(self, source: Source, now_s: float) -> Values:
        """Return what a source has to say that is to be sent."""
        notice = self._notices[source.name]
        try:
            values = self._deadband.apply(self._sendable(source.read(now_s)), now_s)
        except Exception as exc:  # noqa: BLE001 - the one supervisor of all sources
            notice.failed(repr(exc))
            return {}
        notice.worked()
        return values

    def _sendable(self, values: Mapping[str, Value]) -> Values:
        """Leave out what the cloud would refuse, so that it costs no other value."""
        kept: Values = {}
        for name, value in values.items():
            try:
                kept[metric_name(name)] = checked_value(name, value)
            except Malformed as exc:
                self._bad_values.failed(exc)
        return kept

    def _keep(self, samples: list[Sample]) -> None:
        if not samples:
            return
        is_kept = False
        try:
            self._outbox.append(samples, self._clock.wall_ms())
            is_kept = True
        except OutboxFailed as exc:
            self._disk.failed(exc)
            return
        finally:
            self.lost_readings += 0 if is_kept else len(samples)
        self._disk.worked()
        self._on_kept()
