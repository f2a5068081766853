"""From stored batches to anomalies: which series has which row of the bank, and what is scored.

No I/O and no clock. Not thread-safe: one thread at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cloud.analytics.ensemble import Bank
from cloud.analytics.layout import Ints
from wire.events import AnomalyDetected
from wire.ids import SeriesKey
from wire.points import PointBatch

_NS_PER_MS = 1_000_000
_FIRST_ROWS = 64
_NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class Counts:
    """What became of the points; all but `series` only grow."""

    scored: int = 0
    anomalies: int = 0
    out_of_order: int = 0
    not_numeric: int = 0
    beyond_max_series: int = 0
    series: int = 0


class Snapshot(NamedTuple):
    """All state of a scorer, to be saved and loaded."""

    keys: list[SeriesKey]
    last_ms: Ints
    bank: Bank


@dataclass(slots=True)
class _Columns:
    keys: list[SeriesKey] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    ts_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class Scorer:
    """Scores the numeric points of batches with one bank, at most `max_series` series.

    A series beyond `max_series` is not watched. A point that is not newer than its series' last
    (late, or delivered twice) is not scored.
    """

    def __init__(self, max_series: int) -> None:
        self.counts = Counts()
        self._max_series = max_series
        self._rows: dict[SeriesKey, int] = {}
        self._last_ms = np.full(_FIRST_ROWS, _NEVER, np.int64)
        self._bank = Bank(_FIRST_ROWS)

    def score(self, batches: Iterable[PointBatch]) -> list[AnomalyDetected]:
        """Score batches in order and learn them; return what reached the threshold."""
        columns = _Columns()
        for batch in batches:
            self._select(batch, columns)
        rows = np.array(columns.rows, np.int64)
        ts_ns = np.array(columns.ts_ms, np.int64) * _NS_PER_MS
        found = self._bank.update_rows(rows, ts_ns, np.array(columns.values, np.float64))
        self.counts.scored += len(rows)
        alerts = np.flatnonzero(found.scores >= self._bank.threshold)
        self.counts.anomalies += len(alerts)
        return [
            AnomalyDetected(
                *columns.keys[at],
                ts_ms=columns.ts_ms[at],
                value=columns.values[at],
                expected=float(found.expected[at]),
                score=float(found.scores[at]),
                channel=self._bank.channels[found.channel[at]],
            )
            for at in alerts
        ]

    def snapshot(self) -> Snapshot:
        """Return a copy of the state; keys are in order of their rows."""
        known = len(self._rows)
        bank = Bank.from_snapshot(self._bank.snapshot()[:known])
        return Snapshot(list(self._rows), self._last_ms[:known].copy(), bank)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot; series beyond `max_series` are left out."""
        keys = snapshot.keys[: self._max_series]
        self._rows = {key: row for row, key in enumerate(keys)}
        self._bank = Bank.from_snapshot(snapshot.bank.snapshot()[: len(keys)])
        self._last_ms = snapshot.last_ms[: len(keys)].copy()
        self.counts.series = len(keys)

    def _select(self, batch: PointBatch, columns: _Columns) -> None:
        """Append the points of a batch that are to be scored."""
        for key, ts_ms, value in zip(batch.series, batch.ts_ms, batch.values, strict=True):
            if isinstance(value, bool | str):
                self.counts.not_numeric += 1
                continue
            row = self._row(key)
            if row is None:
                self.counts.beyond_max_series += 1
            elif ts_ms <= self._last_ms[row]:
                self.counts.out_of_order += 1
            else:
                self._last_ms[row] = ts_ms
                columns.keys.append(key)
                columns.rows.append(row)
                columns.ts_ms.append(ts_ms)
                columns.values.append(value)

    def _row(self, key: SeriesKey) -> int | None:
        row = self._rows.get(key)
        if row is None and len(self._rows) < self._max_series:
            row = self._rows[key] = len(self._rows)
            self.counts.series = len(self._rows)
            self._make_room()
        return row

    def _make_room(self) -> None:
        """Double the bank when it is full; at most `max_series` rows."""
        needed, room = len(self._rows), len(self._last_ms)
        if needed > room:
            size = min(max(2 * room, needed, _FIRST_ROWS), max(self._max_series, needed))
            self._bank.grow(size)
            self._last_ms = np.concatenate([self._last_ms, np.full(size - room, _NEVER, np.int64)])
