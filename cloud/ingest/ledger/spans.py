"""Which sequences of one boot have been seen, as merged intervals. Pure."""

from bisect import bisect_left
from collections.abc import Iterable

MAX_INTERVALS = 1_000


class Spans:
    """A set of sequences (from 1) that costs one interval while nothing is missing.

    `declared_first` is the lowest sequence that the sender said it still holds: what is missing
    below it will never come. With more than `MAX_INTERVALS` intervals the lowest hole is closed,
    and up to `forgotten` nothing is recognised any more: whatever comes there counts as new
    (storing it twice is harmless, losing it would not be). `closed` is the first sequence of the
    lowest hole that was closed, 0 while none was: from there on `reach` vouches for nothing, up
    to `forgotten`, and only a sender who declares that he starts above gets past.

    `newest_ms` is the newest time that a reading of the boot had. `opened`: a hole was opened
    since somebody set it back. `told` is what `holes` said when it was last written down.
    """

    __slots__ = (
        "closed",
        "declared_first",
        "forgotten",
        "newest_ms",
        "opened",
        "starts",
        "stops",
        "told",
    )

    def __init__(
        self,
        intervals: list[tuple[int, int]] | None = None,
        *,
        declared_first: int = 1,
        forgotten: int = 0,
        closed: int = 0,
        newest_ms: int = 0,
        told: tuple[int, int] = (0, 0),
    ) -> None:
        self.starts = [start for start, _ in intervals or []]
        self.stops = [stop for _, stop in intervals or []]
        self.declared_first = declared_first
        self.forgotten = forgotten
        # Files of earlier versions do not name the hole.
        self.closed = closed or min(forgotten, 1)
        self.newest_ms = newest_ms
        self.opened = False
        self.told = told

    def add(self, seq: int) -> bool:
        """Add a sequence; return False when it was there already."""
        stops = self.stops
        if stops and seq == stops[-1] + 1:
            stops[-1] = seq
            return True
        return self._insert(seq)

    def extend(self, first: int, last: int) -> bool:
        """Add sequences that follow those seen; return False, and add nothing, when others do."""
        starts, stops = self.starts, self.stops
        if not stops and first == 1:
            starts.append(first)
            stops.append(last)
        elif stops and first == stops[-1] + 1:
            stops[-1] = last
        else:
            return False
        return True

    def merge(self, intervals: Iterable[tuple[int, int]]) -> bool:
        """Add whole intervals (both ends included); return False when all was there already."""
        anew = [(start, stop) for start, stop in intervals if not self._holds(start, stop)]
        if not anew:
            return False
        merged: list[tuple[int, int]] = []
        for start, stop in sorted([*self.intervals(), *anew]):
            if merged and start <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        self.starts = [start for start, _ in merged]
        self.stops = [stop for _, stop in merged]
        while len(self.starts) > MAX_INTERVALS:
            self._bound()
        return True

    def declare_first(self, first: int) -> None:
        """Note that the sender holds nothing below `first`; it never takes that back."""
        self.declared_first = max(first, self.declared_first)

    def reach(self) -> int:
        """Return up to where every sequence has its fate; 0 when not even the first has."""
        first = self.declared_first
        at = bisect_left(self.stops, first)
        if at == len(self.stops) or self.starts[at] > first:
            return first - 1
        if first <= self.forgotten:
            return min(self.stops[at], max(self.closed, first) - 1)
        return self.stops[at]

    def missing(self) -> list[tuple[int, int]]:
        """Return the holes between 1 and the highest sequence seen, both ends included."""
        holes = []
        expected = 1
        for start, stop in zip(self.starts, self.stops, strict=True):
            if start > expected:
                holes.append((expected, start - 1))
            expected = stop + 1
        return holes

    def holes(self) -> tuple[int, int]:
        """Return how many sequences are missing, and how many were declared not to come."""
        if not self.stops:
            return 0, 0
        if len(self.stops) == 1 and self.declared_first == 1:
            return self.starts[0] - 1, 0
        missing = declared = 0
        for start, stop in self.missing():
            lost = max(0, min(stop, self.declared_first - 1) - start + 1)
            declared += lost
            missing += stop - start + 1 - lost
        return missing, declared

    def last_hole(self) -> tuple[int, int] | None:
        """Return the highest hole, both ends included."""
        starts, stops = self.starts, self.stops
        if not starts:
            return None
        first = stops[-2] + 1 if len(starts) > 1 else 1
        return (first, starts[-1] - 1) if starts[-1] > first else None

    def intervals(self) -> list[tuple[int, int]]:
        """Return the intervals seen, both ends included, ascending."""
        return list(zip(self.starts, self.stops, strict=True))

    def sure(self) -> list[tuple[int, int]]:
        """Return the intervals in which nothing is missing, holes that were closed left out."""
        first, last = self.closed, self.forgotten
        if not first:
            return self.intervals()
        parts = [
            part
            for start, stop in self.intervals()
            for part in ((start, min(stop, first - 1)), (max(start, last + 1), stop))
        ]
        return [(start, stop) for start, stop in parts if start <= stop]

    def _holds(self, start: int, stop: int) -> bool:
        at = bisect_left(self.stops, stop)
        return at < len(self.stops) and self.starts[at] <= start

    def _insert(self, seq: int) -> bool:
        starts, stops = self.starts, self.stops
        at = bisect_left(stops, seq)
        if at < len(stops) and starts[at] <= seq:
            return seq <= self.forgotten
        joins_left = at > 0 and stops[at - 1] == seq - 1
        joins_right = at < len(starts) and starts[at] == seq + 1
        if joins_left and joins_right:
            stops[at - 1] = stops[at]
            del starts[at], stops[at]
        elif joins_left:
            stops[at - 1] = seq
        elif joins_right:
            starts[at] = seq
        else:
            self.opened = self.opened or at == len(starts)
            starts.insert(at, seq)
            stops.insert(at, seq)
            self._bound()
        return True

    def _bound(self) -> None:
        if len(self.starts) > MAX_INTERVALS:
            hole = self.stops[0] + 1
            self.closed = min(self.closed, hole) if self.closed else hole
            self.forgotten = max(self.forgotten, self.starts[1] - 1)
            del self.starts[1], self.stops[0]
