"""The page on steps: what the application is made of, as discovery finds it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.pages.markdown import code, first_line, table
from tidegate.contract import Step
from tidegate.definition.discovery import discover

ROOT = Path(__file__).resolve().parents[2]
_PARTS = {
    "cloud": ("The platform", "`tidegate up` runs them."),
    "tidegate": ("The runtime's own", "`tidegate start`, `dev` and `up` run them beside yours."),
    "modules": ("Business modules", "`tidegate start --steps modules/NAME/steps` runs one's."),
}
_KINDS = {
    "api": "Requests",
    "event": "Events",
    "cron": "Schedules",
    "mqtt": "Messages of devices",
    "noop": "Only in pictures",
}


def roots() -> list[Path]:
    """Return every folder of steps."""
    return [folder for part in _PARTS for folder in _roots_of(part)]


def _roots_of(part: str) -> list[Path]:
    return sorted((ROOT / part).glob("**/steps"))


def found() -> list[Step]:
    """Return all steps.

    Raises:
        RuntimeError: a step file could not be loaded.
    """
    discovered = discover(roots())
    if discovered.faults:
        raise RuntimeError("; ".join(str(fault) for fault in discovered.faults))
    return discovered.steps


def page() -> Iterator[str]:
    """Return the lines of the page."""
    everything = found()
    yield "# Steps"
    yield ""
    yield "Each is one file `*_step.py` with `config` and `handler`."
    for part, (title, run_by) in _PARTS.items():
        yield from ("", f"## {title}", "", run_by)
        for root in _roots_of(part) if part == "modules" else [ROOT / part]:
            of_root = [step for step in everything if step.file.is_relative_to(root)]
            name = f"{root.parent.name}: " if part == "modules" else ""
            yield from _tables(of_root, name)


def _tables(steps: Sequence[Step], name: str) -> Iterator[str]:
    for kind, title in _KINDS.items():
        rows = [_row(step) for step in steps if step.config.type == kind]
        if rows:
            heading = f"{name}{title}"
            yield from ("", f"### {heading[0].upper()}{heading[1:]}", "")
            yield from table(("Step", "When", "What it does", "Who may", "Emits", "File"), rows)


def _row(step: Step) -> tuple[str, ...]:
    config = step.config
    return (
        code(config.name),
        _when(step),
        config.description or first_line(step.handler),
        ", ".join(code(_name(who)) for who in config.middleware),
        ", ".join(code(topic) for topic in config.emits or ()),
        code(step.file.relative_to(ROOT)),
    )


def _when(step: Step) -> str:
    config = step.config
    if config.type == "api":
        return code(f"{config.method.upper()} {config.path}")
    if config.type == "cron":
        return f"{code(config.cron)} {config.timezone}"
    if config.type == "mqtt":
        return code(config.topic)
    return ", ".join(code(topic) for topic in config.subscribes)


def _name(middleware: object) -> str:
    return middleware if isinstance(middleware, str) else getattr(middleware, "__name__", "own")
