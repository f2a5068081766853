"""Steps as surfaces for tests of documents: from config dicts, without files."""

from typing import Any

from tidegate.definition.normalise import normalise
from tidegate.describe.surface import Surface


def surface(*configs: dict[str, Any]) -> Surface:
    """Return the surface of steps with these configs."""
    steps = [normalise(config) for config in configs]
    return Surface(sorted(steps, key=lambda step: step.name), version="1")


def api(name: str, path: str, **keys: Any) -> dict[str, Any]:
    """Return the config of an api step."""
    return {"type": "api", "name": name, "path": path, **keys}


def event(name: str, *topics: str, **keys: Any) -> dict[str, Any]:
    """Return the config of an event step."""
    return {"type": "event", "name": name, "subscribes": list(topics), **keys}
