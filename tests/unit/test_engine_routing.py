"""Events find their steps, their lanes and their times."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.contract import Step
from tidegate.definition.normalise import normalise
from tidegate.engine.routing import Destination, Router, own_topic
from tidegate.engine.transaction import emission


def _router(*configs: dict[str, Any]) -> Router:
    steps = [Step(normalise(config), lambda: None, Path("x_step.py"), 0) for config in configs]
    return Router({step.config.name: step for step in steps})


def _event(name: str, *topics: str, **keys: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "subscribes": list(topics), **keys}


def test_routing_goes_to_who_subscribes() -> None:
    """An event goes to each step that subscribes to its topic, by name or by `a.*`."""
    router = _router(_event("A", "x.y"), _event("B", "x.*"), _event("C", "x"), _event("D", "z"))

    found = [to.step for to in router.destinations(emission(None, "x.y", {}), 7)]

    assert found == ["A", "B"]


@pytest.mark.parametrize(
    ("keys", "emit_key", "lane"),
    [
        ({}, None, None), ({}, "k", "k"), ({"key": "/id"}, None, "5"), ({"key": "/id"}, "k", "5"),
        ({"key": "/gone"}, "k", None), ({"infrastructure": {"queue": {"type": "fifo"}}}, None, ""),
        ({"infrastructure": {"queue": {"type": "fifo"}}}, "k", "k"),
    ],
)  # fmt: skip
def test_routing_lane_is_the_steps_key_then_the_emissions(
    keys: dict[str, Any], emit_key: str | None, lane: str | None
) -> None:
    """A step's own key wins, then the emission's; fifo puts what has none into one lane."""
    router = _router(_event("A", "x", **keys))

    [to] = router.destinations(emission(None, "x", {"id": 5}, key=emit_key), 7)

    assert to == Destination("A", 7, lane)


def test_routing_adds_the_steps_delay() -> None:
    """A step's delay comes on top of the emission's time."""
    router = _router(_event("A", "x", delay=2))

    [to] = router.destinations(emission(None, "x", {}, due_at_ms=100), 7)

    assert to.due_at_ms == 2_100


def test_routing_cron_and_mqtt_steps_have_topics_of_their_own() -> None:
    """Nobody but the step itself hears them, and runs of a cron step are in one lane."""
    router = _router(
        {"type": "cron", "name": "Nightly", "cron": "0 3 * * *"},
        {"type": "mqtt", "name": "Meters", "topic": "m/+"},
        _event("All", "tidegate.*"),
    )
    cron = normalise({"type": "cron", "name": "Nightly", "cron": "0 3 * * *"})

    [to] = router.destinations(emission(None, own_topic(cron), {}), 7)

    assert to == Destination("Nightly", 7, "")
