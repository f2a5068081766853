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
            runs = " / ".join(f"{run:,.0f}" for run in row.runs)
            print(f"  {row.what:<{width}}  {row.median():>12,.0f} {row.unit}  ({runs})")
    print(json.dumps(report.figures))
