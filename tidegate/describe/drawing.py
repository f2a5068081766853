"""The picture of steps in the languages of Mermaid and Graphviz. Pure."""

import json
from collections.abc import Iterator

from tidegate.contract import StepConfig
from tidegate.describe.graph import NO_FLOW, by_flow, loose_ends, trigger
from tidegate.describe.surface import Surface
from tidegate.describe.topics import Link, links

_MERMAID_SHAPES = {
    "api": ("[", "]"),
    "event": ("(", ")"),
    "cron": ("{{", "}}"),
    "mqtt": ("[/", "/]"),
    "noop": (">", "]"),
}
_DOT_SHAPES = {
    "api": "box",
    "event": "box, style=rounded",
    "cron": "hexagon",
    "mqtt": "parallelogram",
    "noop": "note, style=dashed",
}


def mermaid(surface: Surface) -> str:
    """Return a Mermaid flowchart; dashed ovals are topics that nobody emits or nobody hears."""
    return "\n".join(["flowchart LR", *_mermaid_lines(surface)]) + "\n"


def dot(surface: Surface) -> str:
    """Return a graph for Graphviz; dashed ovals are topics that nobody emits or nobody hears."""
    return "\n".join(["digraph steps {", "  rankdir=LR;", *_dot_lines(surface), "}"]) + "\n"


def _mermaid_lines(surface: Surface) -> Iterator[str]:
    ids = {step.name: f"step{number}" for number, step in enumerate(surface.steps)}
    for number, (flow, steps) in enumerate(by_flow(surface.steps)):
        if flow != NO_FLOW:
            yield f"  subgraph flow{number}[{_quoted(flow)}]"
        for step in steps:
            opening, closing = _MERMAID_SHAPES[step.type]
            yield f"    {ids[step.name]}{opening}{_quoted(_label(step))}{closing}"
        if flow != NO_FLOW:
            yield "  end"
    found = links(surface.steps)
    loose = loose_ends(found)
    for topic, node in loose.items():
        yield f"  {node}([{_quoted(topic)}]):::loose"
    yield from (f"  {_mermaid_edge(link, ids, loose)}" for link in found)
    if loose:
        yield "  classDef loose stroke-dasharray: 4 4"


def _mermaid_edge(link: Link, ids: dict[str, str], loose: dict[str, str]) -> str:
    if link.emitter is not None and link.hearer is not None:
        return f"{ids[link.emitter]} -->|{_quoted(link.topic)}| {ids[link.hearer]}"
    if link.emitter is not None:
        return f"{ids[link.emitter]} --> {loose[link.topic]}"
    return f"{loose[link.topic]} --> {ids[link.hearer or '']}"


def _dot_lines(surface: Surface) -> Iterator[str]:
    for number, (flow, steps) in enumerate(by_flow(surface.steps)):
        if flow != NO_FLOW:
            yield f"  subgraph cluster_{number} {{"
            yield f"    label={_text(flow)};"
        for step in steps:
            shape = _DOT_SHAPES[step.type]
            yield f"    {_text(step.name)} [label={_text(_label(step))}, shape={shape}];"
        if flow != NO_FLOW:
            yield "  }"
    found = links(surface.steps)
    loose = loose_ends(found)
    for topic, node in loose.items():
        yield f"  {_text(f'topic {node}')} [label={_text(topic)}, shape=ellipse, style=dashed];"
    yield from (f"  {_dot_edge(link, loose)}" for link in found)


def _dot_edge(link: Link, loose: dict[str, str]) -> str:
    if link.emitter is not None and link.hearer is not None:
        return f"{_text(link.emitter)} -> {_text(link.hearer)} [label={_text(link.topic)}];"
    oval = _text(f"topic {loose[link.topic]}")
    if link.emitter is not None:
        return f"{_text(link.emitter)} -> {oval};"
    return f"{oval} -> {_text(link.hearer or '')};"


def _label(step: StepConfig) -> str:
    return "\n".join(part for part in (step.name, trigger(step)) if part)


def _quoted(text: str) -> str:
    """Return a text as Mermaid takes it: whatever it could read as markup is an entity."""
    return '"' + "".join(_entity(char) for char in text) + '"'


def _entity(char: str) -> str:
    if char == "\n":
        return "<br/>"
    return char if char.isalnum() or char in " ._-/:,*+" else f"#{ord(char)};"


def _text(text: str) -> str:
    """Return a text as Graphviz takes it."""
    return json.dumps(text, ensure_ascii=False)
