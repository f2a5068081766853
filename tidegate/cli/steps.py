"""`tidegate steps list|graph`: what the steps of some folders are, without running them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.documents import Output, write_text
from tidegate.cli.running import Json, print_json
from tidegate.definition.normalise import outline
from tidegate.describe.drawing import dot, mermaid
from tidegate.describe.graph import graph
from tidegate.describe.surface import Surface, surface_of
from tidegate.running.loading import load_steps

app = typer.Typer(
    help="Look at steps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Steps = Annotated[list[Path], typer.Option(help="A folder of steps; may be given again.")]


class Format(StrEnum):
    """What a picture is written in."""

    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


@app.command("list")
def list_steps(steps: Steps, as_json: Json = False) -> None:
    """List the steps of folders; a fault in any of them is exit code 2."""
    outlines = sorted(
        (outline(step.config) for step in load_steps(steps)), key=lambda step: str(step["name"])
    )
    if as_json:
        print_json({"steps": outlines})
        return
    for step in outlines:
        flows = f"[{', '.join(step['flows'])}]" if "flows" in step else ""
        print(f"{step['type']:<6} {step['name']:<32} {_when(step):<40} {flows}".rstrip())


@app.command("graph")
def draw(
    steps: Steps,
    form: Annotated[
        Format, typer.Option("--format", help="What the picture is written in.")
    ] = Format.MERMAID,
    output: Output = None,
) -> None:
    """Draw steps and the events between them, flow by flow, with topics that lack an end."""
    write_text(_drawn(surface_of(load_steps(steps)), form), output)


def _drawn(surface: Surface, form: Format) -> str:
    if form is Format.JSON:
        return json.dumps(graph(surface), indent=2, ensure_ascii=False) + "\n"
    return dot(surface) if form is Format.DOT else mermaid(surface)


def _when(step: dict[str, Any]) -> str:
    if step["type"] == "api":
        return f"{step['method'].upper()} {step['path']}"
    heard = ", ".join(step.get("subscribes", ()))
    return str(step.get("cron") or step.get("topic") or heard)
