"""Which steps emit and hear which topics. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidegate.contract import StepConfig
from tidegate.definition.topics import matches


class Link(NamedTuple):
    """An event's way: who emits the topic (None: nobody known), who hears it (None: nobody)."""

    emitter: str | None
    topic: str
    hearer: str | None


def links(steps: Sequence[StepConfig]) -> list[Link]:
    """Return every way that the configs declare, loose ends included, in a stable order.

    A topic stands as its emitter writes it; a pattern that nobody is known to emit as it is heard.
    """
    found = {
        link for step in steps for topic in step.emits or () for link in _from(step, topic, steps)
    }
    heard = {(link.hearer, pattern) for link in found for pattern in _patterns(link, steps)}
    for step in steps:
        for pattern in step.subscribes:
            if (step.name, pattern) not in heard:
                found.add(Link(None, pattern, step.name))
    return sorted(found, key=lambda link: (link.emitter or "", link.topic, link.hearer or ""))


def may_meet(emitted: str, heard: str) -> bool:
    """Tell whether what a step may emit, maybe by a pattern, can be what another hears."""
    return matches(heard, emitted) or matches(emitted, heard)


def _from(step: StepConfig, topic: str, steps: Iterable[StepConfig]) -> list[Link]:
    hearers = [
        other.name
        for other in steps
        if any(may_meet(topic, pattern) for pattern in other.subscribes)
    ]
    return [Link(step.name, topic, hearer) for hearer in hearers] or [Link(step.name, topic, None)]


def _patterns(link: Link, steps: Iterable[StepConfig]) -> list[str]:
    """Return by which of its patterns the hearer hears it."""
    hearer = next((step for step in steps if step.name == link.hearer), None)
    patterns = hearer.subscribes if hearer else ()
    return [pattern for pattern in patterns if may_meet(link.topic, pattern)]
