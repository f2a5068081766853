"""A picture of steps: flows as groups, steps as nodes, topics as edges. Pure."""

from collections.abc import Sequence
from typing import Any

from tidegate.contract import StepConfig
from tidegate.describe.surface import Surface
from tidegate.describe.topics import Link, links

NO_FLOW = ""


def graph(surface: Surface) -> dict[str, Any]:
    """Return the picture as data: steps by flow, edges with their topics, loose ends.

    An edge from null is a topic that no step lists in `emits`, one to null a topic that none hears.
    A step of several flows stands in the first of them.
    """
    found = links(surface.steps)
    return {
        "flows": [
            {"name": flow, "steps": [step.name for step in steps]}
            for flow, steps in by_flow(surface.steps)
        ],
        "steps": [_node(step) for step in surface.steps],
        "edges": [{"from": link.emitter, "topic": link.topic, "to": link.hearer} for link in found],
    }


def _node(step: StepConfig) -> dict[str, Any]:
    return {
        "name": step.name,
        "type": step.type,
        "flows": list(step.flows),
        "trigger": trigger(step),
        "emits_any": step.emits is None and step.type != "noop",
    }


def trigger(step: StepConfig) -> str:
    """Return what a step waits for beside events."""
    if step.type == "api":
        return f"{'WS' if step.websocket else step.method.upper()} {step.path}"
    return {"cron": step.cron, "mqtt": step.topic}.get(step.type, "")


def by_flow(steps: Sequence[StepConfig]) -> list[tuple[str, list[StepConfig]]]:
    """Return the steps in groups by their first flow; those without any are in NO_FLOW."""
    flows: dict[str, list[StepConfig]] = {}
    for step in steps:
        flows.setdefault(step.flows[0] if step.flows else NO_FLOW, []).append(step)
    return sorted(flows.items())


def loose_ends(found: Sequence[Link]) -> dict[str, str]:
    """Return a node for each topic that lacks an end: topic by node, and each once."""
    topics = sorted({link.topic for link in found if link.emitter is None or link.hearer is None})
    return {topic: f"topic{number}" for number, topic in enumerate(topics)}
