"""The messages devices and the cloud exchange, independent of how they are encoded."""

from typing import Literal, NamedTuple

import msgspec

from wire.ids import MetricName

Value = float | bool | str


class Reading(msgspec.Struct, frozen=True):
    """What one device measured at one moment.

    `ts_ms` is the device's Unix time in milliseconds, or None when it sent none; `age_ms` then
    is how long before its arrival it was measured, as far as the device said so. `boot` and
    `seq` identify the reading: a boot's first sequence is 1, each reading adds 1.
    Numbers are always floats, so that 21 and 21.5 never disagree about a type.
    `order` tells readings without a sequence apart that have the same metric and millisecond.
    """

    values: dict[MetricName, Value]
    ts_ms: int | None = None
    boot: str | None = None
    seq: int | None = None
    order: int = 0
    age_ms: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why one reading of a payload was not taken; `index` counts from 0."""

    index: int
    reason: str


class Decoded(msgspec.Struct, frozen=True):
    """A payload's readings, and those of its readings that had to be refused.

    `first` is the lowest sequence that the sender still holds of this boot: everything before
    it will never come, so an acknowledgement may pass it.
    """

    readings: list[Reading]
    refused: list[Refusal] = []
    first: int | None = None

    def by_reading(self) -> "Decoded":
        """Return this: it is so already."""
        return self

    def size(self) -> int:
        """Return the number of readings in the payload."""
        return len(self.readings) + len(self.refused)


class Table(NamedTuple):
    """A payload's readings in columns: all of one boot, numbered, timed, of the same metrics.

    Reading i is `seq + i` of `boot`, at `ts_ms[i]`, and has `columns[k][i]` of `metrics[k]`.
    """

    metrics: tuple[MetricName, ...]
    ts_ms: list[int]
    columns: list[list[float]]
    boot: str
    seq: int
    first: int | None = None

    def size(self) -> int:
        """Return the number of readings."""
        return len(self.ts_ms)

    @property
    def last_seq(self) -> int:
        """Return the last reading's sequence."""
        return self.seq + len(self.ts_ms) - 1

    def by_reading(self) -> Decoded:
        """Return the same, reading by reading."""
        rows = zip(self.ts_ms, zip(*self.columns, strict=True), strict=True)
        return Decoded(
            [
                Reading(dict(zip(self.metrics, row, strict=True)), ts_ms, self.boot, self.seq + i)
                for i, (ts_ms, row) in enumerate(rows)
            ],
            [],
            self.first,
        )


class Ack(msgspec.Struct, frozen=True):
    """End-to-end acknowledgement: every reading of `boot` up to `seq` has its fate."""

    boot: str
    seq: int


class Status(msgspec.Struct, frozen=True):
    """A device's birth (`online`) and last will (`offline`), retained on its status topic."""

    state: Literal["online", "offline"]
    boot: str | None = None
    agent: str | None = None
