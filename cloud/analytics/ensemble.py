"""The bank of detectors: the state of all series in one matrix, a whole batch at a time. Pure.

A value is measured by the channels, each channel is calibrated to a tail probability, and the
worst channel after its share of the budget of false alarms gives the score:

    score = min(1, -log10(min over channels of p / share) / 10)

so the threshold 0.35 is a probability of about 1 in 3,000; winsorising makes it rarer in practice.
What alerts again and again is forgiven as a habit (`habits.py`).
One pass, 416 bytes a series. Warm-up: WARM_UP_ROWS values that differ from the one before.
Cost: about 120 array operations a batch: 160 µs for one value, about 1 µs a value in thousands.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.analytics import channels, habits, tails
from cloud.analytics.cooldown import Cooldown
from cloud.analytics.layout import (
    CHANNELS,
    COLUMN_NAMES,
    HABIT_COLUMNS,
    HABIT_FIELDS,
    TAIL_COLUMNS,
    TAIL_FIELDS,
    WIDTH,
    Column,
    Floats,
    Ints,
)

THRESHOLD = 0.35
COOLDOWN_ROWS = 100
WARM_UP_ROWS = 64
BUDGET = {"jump": 0.2, "residual": 0.2, "shift": 0.2, "noise": 0.1, "range": 0.3}
_LOG_BUDGET = np.log10([[BUDGET[channel]] for channel in CHANNELS])
_LOG_AT_FULL_SCORE = -10.0
_LEARN_IN_COOLDOWN_ABOVE = -3.0
_LARGEST_VALUE = 1e300
_NS_PER_S = 1e9


class Scored(NamedTuple):
    """One element a value: its score, what was expected, and the index of the worst channel."""

    scores: Floats
    expected: Floats
    channel: NDArray[np.intp]


class Bank:
    """Independent detectors of n series behind one call.

    Example:
        >>> bank = Bank(2)
        >>> noise = np.random.default_rng(0).normal(size=(300, 2))
        >>> for step, values in enumerate(noise):
        ...     _ = bank.update(np.full(2, step), values)
        >>> bool(bank.update(np.full(2, 300), np.array([12.0, np.nan]))[0] >= bank.threshold)
        True
    """

    threshold = THRESHOLD
    channels = CHANNELS

    def __init__(self, n_series: int) -> None:
        self._state = _first_state(n_series)
        self._cooldown = Cooldown(THRESHOLD, COOLDOWN_ROWS)

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self._state)

    def update(self, ts_ns: Ints, values: Floats) -> Floats:
        """Score one value of each series (NaN: none now), then learn them; float64[n], 0..1."""
        rows = np.flatnonzero(np.isfinite(values))
        scores = np.zeros(len(values))
        scores[rows] = self._update_once(rows, ts_ns[rows], values[rows]).scores
        return scores

    def update_rows(self, rows: Ints, ts_ns: Ints, values: Floats) -> Scored:
        """Score `values[i]` of series `rows[i]`, in order; a series may come several times.

        What is not finite gets score 0 and teaches nothing.
        """
        found = Scored(np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), np.intp))
        finite = np.flatnonzero(np.isfinite(values))
        for turn in _turns(rows[finite]):
            at = finite[turn]
            once = self._update_once(rows[at], ts_ns[at], values[at])
            for whole, part in zip(found, once, strict=True):
                whole[at] = part
        return found

    def grow(self, n_series: int) -> None:
        """Add series without history until there are `n_series`."""
        missing = n_series - len(self._state)
        if missing > 0:
            self._state = np.vstack([self._state, _first_state(missing)])

    def forget(self, row: int) -> None:
        """Give the row to a series without history."""
        self._state[row] = _first_state(1)[0]

    def snapshot(self) -> Floats:
        """Return a copy of all state, float64[n, WIDTH]."""
        return self._state.copy()

    @classmethod
    def from_snapshot(cls, state: Floats, columns: tuple[str, ...] = COLUMN_NAMES) -> "Bank":
        """Return a bank that continues where the snapshot was taken.

        Raises:
            ValueError: the snapshot is of another kind of detector.
        """
        if columns != COLUMN_NAMES or state.ndim != 2 or state.shape[1] != WIDTH:  # noqa: PLR2004
            raise ValueError("the snapshot is of another version of the detector")
        if not np.isfinite(state).all():
            raise ValueError("the snapshot holds values that are not finite")
        bank = cls(0)
        bank._state = np.array(state, dtype=np.float64)
        return bank

    def _update_once(self, rows: NDArray[np.intp] | Ints, ts_ns: Ints, values: Floats) -> Scored:
        """Score and learn values of distinct series."""
        values = np.clip(values, -_LARGEST_VALUE, _LARGEST_VALUE)
        state = np.ascontiguousarray(self._state[rows].T)
        channels.resume(state, ts_ns / _NS_PER_S, values)
        channels.begin(state, values)
        expected = state[Column.LEVEL].copy()
        measured = channels.measure(state, values)
        tail = state[TAIL_COLUMNS].reshape(len(TAIL_FIELDS), len(CHANNELS), -1)
        logs = tails.log10_tail(tail, measured.z)
        calm = (state[Column.QUIET] == 0) | (logs > _LEARN_IN_COOLDOWN_ABOVE)
        settled = measured.moved & (state[Column.LEARNED] >= channels.BURN_IN_ROWS)
        tails.learn(tail, measured.z, counted=calm & settled, rows=_counted(state))
        warm = (state[Column.LEARNED] >= WARM_UP_ROWS) & (state[Column.SETTLING] == 0)
        habit = state[HABIT_COLUMNS].reshape(len(HABIT_FIELDS), len(CHANNELS), -1)
        forgiven = np.maximum(logs, habits.log10_floor(habit, measured.z))
        raw, channel = _combine(forgiven, warm=warm)
        alerting = (_combine(logs, warm=warm)[0] >= THRESHOLD) & (state[Column.QUIET] == 0)
        habits.learn(habit, measured.z, logs=logs, alerting=alerting)
        scores = self._cooldown.apply(raw, state[Column.QUIET])
        channels.learn(state, values, measured)
        self._state[rows] = state.T
        return Scored(scores, expected, channel)


class Detector:
    """A bank of one, for one series at a time."""

    bank = Bank
    threshold = THRESHOLD

    def __init__(self) -> None:
        self._bank = Bank(1)

    def update(self, ts_ns: int, value: float) -> float:
        """Return the score (0..1) of the next value, then learn it."""
        return float(self._bank.update(np.array([ts_ns]), np.array([value]))[0])


def _first_state(n_series: int) -> Floats:
    state = np.zeros((n_series, WIDTH))
    state[:, TAIL_COLUMNS] = tails.first_tails()
    return state


def _counted(state: Floats) -> Floats:
    counted: Floats = np.maximum(state[Column.LEARNED] - channels.BURN_IN_ROWS, 0.0)
    return counted


def _combine(logs: Floats, *, warm: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.intp]]:
    """Return scores 0..1 and the index of the channel that decided each."""
    charged = logs - _LOG_BUDGET
    channel = np.argmin(charged, axis=0)
    worst = np.minimum(charged.min(axis=0), 0.0)
    return np.where(warm, np.minimum(worst / _LOG_AT_FULL_SCORE, 1.0), 0.0), channel


def _turns(rows: Ints) -> list[NDArray[np.intp]]:
    """Split positions into turns, so that each turn has each row once and order is kept."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(rows) else order
    lengths = np.diff(np.r_[starts, len(rows)])
    turn = np.empty(len(rows), np.intp)
    turn[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return [np.flatnonzero(turn == number) for number in range(int(lengths.max(initial=0)))]
