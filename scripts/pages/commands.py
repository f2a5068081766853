"""The page on commands: what `tidegate` can be told, as its parser has it."""

import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from scripts.pages.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]


def entry_points() -> dict[str, str]:
    """Return where each subcommand is made, as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    points: dict[str, str] = project["entry-points"]["tidegate.commands"]
    return points


def names() -> list[str]:
    """Return every command: `tidegate up`, `tidegate device add`, ..."""
    return [name for name, _ in _all()]


def page() -> Iterator[str]:
    """Return the lines of the page."""
    yield "# Commands"
    for name, command in _all():
        yield from ("", f"## {code(name)}", "", (command.help or "").strip())
        rows = [_row(option) for option in command.params if option.name != "help"]
        if rows:
            yield ""
            yield from table(("Option", "Default", "What it says"), rows)


def _all() -> Iterator[tuple[str, Any]]:
    for name, target in sorted(entry_points().items()):
        yield from _below(f"tidegate {name}", _command(target))


def _command(target: str) -> Any:
    module, _, attribute = target.partition(":")
    thing = getattr(import_module(module), attribute)
    if isinstance(thing, typer.Typer):
        return get_command(thing)
    app = typer.Typer(add_completion=False)
    app.command()(thing)
    return get_command(app)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    subcommands = getattr(command, "commands", {})
    if not subcommands or getattr(command, "invoke_without_command", False):
        yield name, command
    for part, subcommand in sorted(subcommands.items()):
        yield from _below(f"{name} {part}", subcommand)


def _row(option: Any) -> tuple[str, ...]:
    names = ", ".join([*option.opts, *getattr(option, "secondary_opts", [])])
    shown = names if names.startswith("-") else names.upper()
    default = "required" if option.required else _default_text(option.default)
    return code(shown), default, getattr(option, "help", None) or ""


def _default_text(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return "" if default is None or callable(default) else code(default)
