"""What a detector remembers of one series: the columns of the bank's state matrix.

A checkpoint is only loaded when its column names are these, so a change here is a new format.
"""

from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

CHANNELS = ("jump", "residual", "shift", "noise", "range")
HABIT_FIELDS = ("alerts", "size")
TAIL_FIELDS = ("threshold", "rate", "mean", "square", "exceeded")


class Column(IntEnum):
    """Columns before those of the tails; the first six begin at a series' first value."""

    LAST = 0
    LEVEL = 1
    SHORT = 2
    SLOW = 3
    LOW = 4
    HIGH = 5
    JUMP_SCALE = 6
    RESIDUAL_SCALE = 7
    SHIFT_SCALE = 8
    RECENT_JUMP = 9
    ROWS = 10
    LEARNED = 11
    OUTLIERS = 12
    QUIET = 13
    TIME_S = 14
    INTERVAL_S = 15
    SETTLING = 16


VALUE_COLUMNS = slice(Column.LAST, Column.HIGH + 1)
SCALE_COLUMNS = slice(Column.JUMP_SCALE, Column.SHIFT_SCALE + 1)
TAIL_COLUMNS = slice(len(Column), len(Column) + len(TAIL_FIELDS) * len(CHANNELS))
HABIT_COLUMNS = slice(TAIL_COLUMNS.stop, TAIL_COLUMNS.stop + len(HABIT_FIELDS) * len(CHANNELS))
WIDTH = HABIT_COLUMNS.stop

COLUMN_NAMES = tuple(column.name.lower() for column in Column) + tuple(
    f"{channel}.{field}" for field in TAIL_FIELDS + HABIT_FIELDS for channel in CHANNELS
)
