"""Turns the steps that run into what their page shows. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cloud.dashboard.step_desk import StepFacts
from tidegate.contract import StepConfig
from tidegate.definition.topics import matches

INTERNAL = "tidegate."
_ORDER = ("done", "suspended", "retried", "dead")
_SECTIONS = (
    ("event", "Begun by events"),
    ("cron", "On a schedule"),
    ("mqtt", "From MQTT"),
    ("api", "Begun by requests"),
    ("noop", "Done elsewhere"),
)


class Emitted(NamedTuple):
    """A topic that a step may emit, and the steps that it begins."""

    topic: str
    hearers: tuple[str, ...]


class StepRow(NamedTuple):
    """One step; `starts` are words such as a path, `emits_any` stands for a step without a list."""

    name: str
    about: str
    flows: tuple[str, ...]
    starts: tuple[str, ...]
    emits: tuple[Emitted, ...]
    emits_any: bool
    waiting: int
    outcomes: tuple[tuple[str, int], ...]
    dead: int
    next_at_ms: int | None
    is_internal: bool


class Section(NamedTuple):
    """The steps of one type."""

    type: str
    title: str
    rows: tuple[StepRow, ...]


def sections(steps: Sequence[StepFacts], dead: Mapping[str, int]) -> list[Section]:
    """Return the steps by their types; a type without steps is left out."""
    configs = [step.config for step in steps]
    return [
        Section(kind, title, rows)
        for kind, title in _SECTIONS
        if (rows := tuple(_row(s, configs, dead) for s in steps if s.config.type == kind))
    ]


def strangers(steps: Sequence[StepFacts], dead: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return who has dead events but is no step that runs here, with how many."""
    known = {step.config.name for step in steps}
    return sorted((name, count) for name, count in dead.items() if name not in known)


def is_internal(step: str) -> bool:
    """Tell whether a name is one of the runtime's own."""
    return step.startswith(INTERNAL)


def _row(step: StepFacts, configs: Sequence[StepConfig], dead: Mapping[str, int]) -> StepRow:
    config = step.config
    return StepRow(
        name=config.name,
        about=step.about,
        flows=tuple(config.flows),
        starts=_starts(config),
        emits=tuple(Emitted(topic, _hearers(topic, configs)) for topic in config.emits or ()),
        emits_any=config.emits is None and config.type != "noop",
        waiting=step.waiting,
        outcomes=tuple(sorted(step.outcomes.items(), key=_place)),
        dead=dead.get(config.name, 0),
        next_at_ms=None if step.next_at is None else int(step.next_at.timestamp() * 1_000),
        is_internal=is_internal(config.name),
    )


def _place(outcome: tuple[str, int]) -> tuple[int, str]:
    name = outcome[0]
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _starts(config: StepConfig) -> tuple[str, ...]:
    if config.type == "api":
        return (f"{'WS' if config.websocket else config.method} {config.path}",)
    if config.type == "cron":
        zone = "" if config.timezone == "UTC" or config.cron.startswith("@") else config.timezone
        return (f"{config.cron} {zone}".strip(),)
    return tuple(config.subscribes) if config.type == "event" else (config.topic,)


def _hearers(topic: str, configs: Sequence[StepConfig]) -> tuple[str, ...]:
    """Return the steps that hear a topic; what is emitted may be a pattern, too."""
    return tuple(
        config.name
        for config in configs
        if config.type == "event"
        and any(matches(heard, topic) or matches(topic, heard) for heard in config.subscribes)
    )
