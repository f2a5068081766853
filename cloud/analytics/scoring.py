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
# A series is forgotten for a new one when so many points for each place came without one of it.
# Sooner, and more series than places that are all alive would push each other out for ever.
_UNSEEN_POINTS_PER_PLACE = 10


@dataclass(slots=True)
class Counts:
    """What became of the points, and of the series; all but `series` only grow."""

    scored: int = 0
    anomalies: int = 0
    out_of_order: int = 0
    not_numeric: int = 0
    beyond_max_series: int = 0
    series: int = 0
    forgotten: int = 0


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

    When all places are taken a new series gets that of the longest unseen one, if that has not
    been seen for long; else it is not watched. A point that is not newer than its series' last
    (late, or delivered twice) is not scored.
    """

    def __init__(self, max_series: int) -> None:
        self.counts = Counts()
        self._max_series = max_series
        self._rows: dict[SeriesKey, int] = {}
        self._keys: list[SeriesKey] = []
        self._last_ms = np.full(_FIRST_ROWS, _NEVER, np.int64)
        self._bank = Bank(_FIRST_ROWS)
        # How many points came before the batch that a series was last seen in.
        self._seen_at = np.zeros(_FIRST_ROWS, np.int64)
        self._points = 0
        self._long_unseen: list[int] | None = None

    def score(self, batches: Iterable[PointBatch]) -> list[AnomalyDetected]:
        """Score batches in order and learn them; return what reached the threshold."""
        columns = _Columns()
        self._long_unseen = None
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
        known = len(self._keys)
        bank = Bank.from_snapshot(self._bank.snapshot()[:known])
        return Snapshot(self._keys.copy(), self._last_ms[:known].copy(), bank)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot; series beyond `max_series` are left out."""
        self._keys = keys = snapshot.keys[: self._max_series]
        self._rows = {key: row for row, key in enumerate(keys)}
        self._bank = Bank.from_snapshot(snapshot.bank.snapshot()[: len(keys)])
        self._last_ms = snapshot.last_ms[: len(keys)].copy()
        self._seen_at = np.full(len(keys), self._points, np.int64)
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
                continue
            self._seen_at[row] = self._points
            if ts_ms <= self._last_ms[row]:
                self.counts.out_of_order += 1
            else:
                self._last_ms[row] = ts_ms
                columns.keys.append(key)
                columns.rows.append(row)
                columns.ts_ms.append(ts_ms)
                columns.values.append(value)
        self._points += len(batch)

    def _row(self, key: SeriesKey) -> int | None:
        row = self._rows.get(key)
        return self._new_row(key) if row is None else row

    def _new_row(self, key: SeriesKey) -> int | None:
        """Give a series a row of its own, None when there is none to give."""
        row = len(self._keys)
        if row < self._max_series:
            self._keys.append(key)
            self.counts.series = row + 1
            self._make_room()
        else:
            freed = self._free_row()
            if freed is None:
                return None
            row = freed
            self._keys[row] = key
        self._rows[key] = row
        return row

    def _free_row(self) -> int | None:
        """Forget the longest unseen series and return its row; None when all were seen lately."""
        lately = self._points - _UNSEEN_POINTS_PER_PLACE * self._max_series
        if self._long_unseen is None:
            # Once for each call of `score`: looking through all series takes a while.
            rows = np.flatnonzero(self._seen_at[: len(self._keys)] < lately)
            newest_first = np.argsort(-self._seen_at[rows], kind="stable")
            self._long_unseen = rows[newest_first].tolist()
        while self._long_unseen:
            row = self._long_unseen.pop()
            if self._seen_at[row] < lately:
                del self._rows[self._keys[row]]
                self._bank.forget(row)
                self._last_ms[row] = _NEVER
                self.counts.forgotten += 1
                return row
        return None

    def _make_room(self) -> None:
        """Double the bank when it is full; at most `max_series` rows."""
        needed, room = len(self._keys), len(self._last_ms)
        if needed > room:
            size = min(max(2 * room, needed, _FIRST_ROWS), max(self._max_series, needed))
            self._bank.grow(size)
            self._last_ms = np.concatenate([self._last_ms, np.full(size - room, _NEVER, np.int64)])
            self._seen_at = np.concatenate([self._seen_at, np.zeros(size - room, np.int64)])
