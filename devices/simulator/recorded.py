"""CSV files of `timestamp,value`: read, checked, and moved in time."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from devices.simulator.errors import BadInput

_MS_PER_S = 1000


class Row(NamedTuple):
    """One recorded value and its Unix time in ms."""

    ts_ms: int
    value: float


class Span(NamedTuple):
    """How many rows a file has and the times of the first and the last of them (Unix ms)."""

    rows: int
    first_ms: int
    last_ms: int


def read_rows(path: Path) -> Iterator[Row]:
    """Read a recording row by row; a first row that names the columns is skipped.

    Times are RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC) or Unix ms.

    Raises:
        BadInput: the file cannot be read or a row is not `timestamp,value`; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            for fields in lines:
                if fields and not (lines.line_num == 1 and _is_header(fields)):
                    yield _row(fields, f"{path}, line {lines.line_num}")
    except OSError as exc:
        raise BadInput(f"{path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise BadInput(f"{path} is not a CSV file in UTF-8: {exc}") from exc


def scan(path: Path) -> Span:
    """Check a whole recording; raise `BadInput` where a row is wrong or steps back in time."""
    rows, first_ms, last_ms = 0, 0, 0
    for row in read_rows(path):
        if rows == 0:
            first_ms = row.ts_ms
        elif row.ts_ms < last_ms:
            raise BadInput(f"{path}: row {rows + 1} is older than the one before: sort the file")
        rows, last_ms = rows + 1, row.ts_ms
    if rows == 0:
        raise BadInput(f"{path} holds no rows of timestamp,value")
    return Span(rows, first_ms, last_ms)


def shift_to(end_ms: int, span: Span) -> int:
    """Return what to add to each time (ms), so that the last row is at `end_ms`."""
    return end_ms - span.last_ms


def _is_header(fields: list[str]) -> bool:
    try:
        _time_ms(fields[0])
    except ValueError:
        return True
    return False


def _row(fields: list[str], where: str) -> Row:
    try:
        time_text, value_text = fields[:2]
        row = Row(_time_ms(time_text), float(value_text))
    except ValueError as exc:
        raise BadInput(f"{where}: expected timestamp,value") from exc
    if not isfinite(row.value):
        raise BadInput(f"{where}: the value is not finite")
    return row


def _time_ms(text: str) -> int:
    if text.strip().lstrip("-").isdigit():
        return int(text)
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * _MS_PER_S)
