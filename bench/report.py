"""What a measurement found: rows for people, figures for programs."""

import json
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One thing measured several times; `unit` says what the numbers are."""

    what: str
    runs: list[float]
    unit: str

    def median(self) -> float:
        """Return the middle of the runs."""
        return median(self.runs)


@dataclass(frozen=True)
class Report:
    """A measurement's rows, and the figures of its JSON line."""

    title: str
    rows: list[Row]
    figures: dict[str, object]


def show(report: Report, *, only_json: bool) -> None:
    """Print the report; its last line is one JSON object."""
    if not only_json:
        print(report.title)
        width = max(len(row.what) for row in report.rows)
        for row in report.rows:
            runs = " / ".join(map(_figure, row.runs))
            print(f"  {row.what:<{width}}  {_figure(row.median()):>12} {row.unit}  ({runs})")
    print(json.dumps(report.figures))


def _figure(value: float) -> str:
    """Write three digits at least, and no more behind the point than mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
