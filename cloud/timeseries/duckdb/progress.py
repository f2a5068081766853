"""How far the rollups and the retention of a file have come, and what times mean there. Pure."""

from typing import NamedTuple

from cloud.timeseries.buckets import HOUR_MS, Stretch, ceil_to, floor_to

INT64_MIN = -(2**63)
EARLIEST_MS = -(2**62) // HOUR_MS * HOUR_MS
"""Points before it are kept and read as they are, but belong to no bucket."""


class Progress(NamedTuple):
    """Times in Unix ms; see `schema/0002_rollups.sql`. Nothing done yet is `EARLIEST_MS`."""

    rolled_ms: int = EARLIEST_MS
    raw_from_ms: int = EARLIEST_MS

    @property
    def hours_ms(self) -> int:
        """Hours that end by then are rolled up."""
        return floor_to(HOUR_MS, self.rolled_ms)


def served(progress: Progress, asked: Stretch, level_ms: int) -> Stretch | None:
    """Return the part of what is asked that whole buckets of a level can answer; None if none."""
    first_ms = ceil_to(level_ms, max(asked.from_ms, EARLIEST_MS))
    end_ms = floor_to(level_ms, min(asked.to_ms, progress.rolled_ms))
    return Stretch(first_ms, end_ms) if first_ms < end_ms else None
