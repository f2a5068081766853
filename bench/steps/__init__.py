"""Steps against their peers, in one run: chains of durable steps, HTTP, growth, one hot key."""

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.report import Report, Row
from bench.runs import Run, Series, carry_out, minutes
from bench.servers import folder_on_disk, packages, postgres, program, stop_on_sigterm
from bench.steps import chains, growth, http

Figures = Mapping[str, object]
PARTS = ("chains", "http", "hot", "growth")


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
    with ExitStack() as stack:
        folder = stack.enter_context(folder_on_disk())
        runs = _runs(parts, folder, stack, scale)
        for part, part_runs in runs.items():
            estimate = minutes(sum(run.estimate_s for run in part_runs))
            print(f"{part}: {len(part_runs)} runs, about {estimate}", file=sys.stderr)
        series = carry_out([run for part_runs in runs.values() for run in part_runs])
    return _report(parts, series, scale)


def _runs(
    parts: Collection[str], folder: Path, stack: ExitStack, scale: float
) -> dict[str, list[Run]]:
    """Return the runs of each part; what they need is started, or found missing, here."""
    found = {}
    if "chains" in parts:
        packages("dbos", "faststream", "hiredis", "procrastinate", "taskiq", "taskiq_redis")
        program("redis-server", package="redis-server")
        found["chains"] = chains.runs(folder, stack.enter_context(postgres(folder)), scale=scale)
    if "http" in parts:
        packages("fastapi")
        found["http"] = http.runs(folder, scale=scale)
    if "hot" in parts:
        found["hot"] = http.hot_runs(folder, scale=scale)
    if "growth" in parts:
        found["growth"] = growth.runs(folder, scale=scale)
    return found


def _report(parts: Collection[str], series: Series, scale: float) -> Report:
    rows: list[Row] = []
    figures: dict[str, object] = {}
    for part, (part_rows, part_figures) in _TOLD.items():
        if part in parts:
            rows += part_rows(series)
            figures.update(part_figures(series))
    if scale != 1.0:
        figures["scale"] = scale
    return Report("steps: pinned to two cores, medians of three runs", rows, figures)


_TOLD: dict[str, tuple[Callable[[Series], list[Row]], Callable[[Series], Figures]]] = {
    "chains": (chains.rows, chains.figures),
    "http": (http.rows, http.figures),
    "hot": (http.hot_rows, http.hot_figures),
    "growth": (growth.rows, growth.figures),
}
