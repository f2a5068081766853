"""The page on events: which steps speak to each other through the engine, and in what words."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import msgspec

from scripts.pages.markdown import code, prose, table
from wire import events

ROOT = Path(__file__).resolve().parents[2]
_TOPIC = re.compile(r"`([a-z]+(?:\.[a-z]+)+)`")


def topics() -> dict[str, type[msgspec.Struct]]:
    """Return the type of each topic's data, as the docstrings say."""
    return {topic: kind for kind in _kinds() for topic in _TOPIC.findall(prose(kind).split(":")[0])}


def page() -> Iterator[str]:
    """Return the lines of the page."""
    yield "# Events"
    yield ""
    yield "The services never import each other: they meet by these events."
    yield ""
    for kind in _kinds():
        yield f"## {code(kind.__name__)}"
        yield ""
        yield prose(kind)
        yield ""
        hints = get_type_hints(kind)
        names = [(field.encode_name, hints[field.name]) for field in msgspec.structs.fields(kind)]
        yield from table(
            ("Field", "Type"), [(code(name), code(_type_text(hint))) for name, hint in names]
        )
        yield ""


def _kinds() -> list[type[msgspec.Struct]]:
    """Return the types of `wire.events`, then those of each module's own `events.py`."""
    return [
        thing
        for source in (events, *_of_modules())
        for thing in vars(source).values()
        if isinstance(thing, type) and issubclass(thing, msgspec.Struct)
        if thing.__module__ == source.__name__
    ]


def _of_modules() -> Iterator[ModuleType]:
    for file in sorted((ROOT / "modules").glob("*/events.py")):
        yield import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def _type_text(hint: object) -> str:
    text = hint.__name__ if isinstance(hint, type) else str(hint)
    return text.replace("typing.", "")
