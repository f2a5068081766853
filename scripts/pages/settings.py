"""The settings pages: every key with its type, its default and its environment variable."""

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from cloud.settings import Settings as CloudSettings
from edge_agent.settings import Settings as AgentSettings
from scripts.pages.markdown import code, prose, table
from tidegate.configuration import PREFIX

_HEAD = ("Key", "Type", "Default", "Environment")


def cloud_page() -> Iterator[str]:
    """Return the lines of the page on `tidegate.toml`."""
    yield from _page(
        CloudSettings,
        title="Settings of the cloud side",
        file="`tidegate.toml`, or the file that `--config` names",
    )


def agent_page() -> Iterator[str]:
    """Return the lines of the page on the edge agent's file."""
    yield from _page(
        AgentSettings, title="Settings of the edge agent", file="the file that `--config` names"
    )


def _page(kind: type[msgspec.Struct], *, title: str, file: str) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield f"Defaults, over them {file}, over both the environment. An unknown key is an error."
    yield ""
    yield from _section(kind, ())


def _section(kind: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"## {code(_header(path))}"
        yield ""
    yield prose(kind)
    yield ""
    hints = get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    plain = [field for field in fields if _struct_in(hints[field.name]) is None]
    if plain:
        rows = [_row(field, hints[field.name], path) for field in plain]
        yield from table(_HEAD, rows)
        yield ""
    for field in fields:
        inner = _struct_in(hints[field.name])
        if inner is not None:
            many = "[]" if get_origin(hints[field.name]) is list else ""
            yield from _section(inner, (*path, field.encode_name + many))


def _row(field: Any, hint: Any, path: tuple[str, ...]) -> tuple[str, ...]:
    in_list = any(part.endswith("[]") for part in path)
    variable = PREFIX + "__".join((*path, field.encode_name)).upper()
    return (
        code(field.encode_name),
        _type_text(hint),
        _default_text(field),
        "" if in_list else code(variable),
    )


def _header(path: tuple[str, ...]) -> str:
    name = ".".join(part.removesuffix("[]") for part in path)
    return f"[[{name}]]" if path[-1].endswith("[]") else f"[{name}]"


def _default_text(field: Any) -> str:
    if field.required:
        return "required"
    default = field.default
    if default is msgspec.NODEFAULT:
        default = field.default_factory()
    if default is None or default == []:
        return ""
    return code(json.dumps(default if isinstance(default, int | float) else str(default)))


def _type_text(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_text(args[0]) + "".join(_bounds(meta) for meta in args[1:])
    if origin is Literal:
        return " or ".join(code(f'"{arg}"') for arg in args)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(arg) for arg in args if arg is not type(None))
    if origin is list:
        return f"list of {_type_text(args[0])}"
    names = {str: "text", float: "number", int: "whole number", bool: "`true` or `false`"}
    return names.get(hint) or str(hint.__name__).lower()


def _bounds(meta: Any) -> str:
    """Return the bounds that a type's `msgspec.Meta` sets: ` ≥ 1, ≤ 65535`."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f" {sign} {getattr(meta, name)}"
        for name, sign in signs.items()
        if getattr(meta, name, None) is not None
    ]
    return ",".join(found)


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """Return the Struct inside `X` or `list[X]`, if there is one."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((s for arg in get_args(hint) if (s := _struct_in(arg)) is not None), None)
