"""Durable ingestion against what the broker can deliver at all, and against its peers.

All take the same load from a mosquitto of their own: QoS 1, three values a reading. Ours decodes,
stores, accounts, and only then acknowledges. What is stored is counted in the database.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.ingest import batched, losses, rates, waits
from bench.report import Report, Row
from bench.runs import Run, Series, carry_out, minutes
from bench.servers import folder_on_disk, stop_on_sigterm

PARTS = ("rates", "losses", "batched", "waits")
_RUNS: dict[str, Callable[..., list[Run]]] = {
    "rates": rates.runs,
    "losses": losses.runs,
    "batched": batched.runs,
    "waits": waits.runs,
}
_TOLD: dict[str, tuple[Callable[[Series], list[Row]], Callable[[Series], Mapping[str, float]]]] = {
    "rates": (rates.rows, rates.figures),
    "losses": (losses.rows, losses.figures),
    "batched": (batched.rows, batched.figures),
    "waits": (waits.rows, waits.figures),
}


def run(*, only: str | None = None, scale: float = 1.0) -> Report:
    """Measure all parts, or one of them.

    Args:
        only: the part's name.
        scale: 1 is the real thing; less is a quick try, and the JSON line then says so.

    Raises:
        Unprepared: a program is missing; the message names the package.
    """
    stop_on_sigterm()
    parts = (only,) if only else PARTS
    with folder_on_disk() as folder:
        series = carry_out(_announced(parts, folder, scale))
    rows: list[Row] = []
    figures: dict[str, object] = {}
    for part in parts:
        part_rows, part_figures = _TOLD[part]
        rows += part_rows(series)
        figures.update(part_figures(series))
    if scale != 1.0:
        figures["scale"] = scale
    return Report(
        "ingest: QoS 1, three values a reading, medians of three runs, losses one", rows, figures
    )


def _announced(parts: tuple[str, ...], folder: Path, scale: float) -> list[Run]:
    found = []
    for part in parts:
        runs = _RUNS[part](folder, scale=scale)
        estimate = minutes(sum(run.estimate_s for run in runs))
        print(f"{part}: {len(runs)} runs, about {estimate}", file=sys.stderr)
        found += runs
    return found
