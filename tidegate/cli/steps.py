"""`tidegate steps list`: what the steps of some folders are, without running them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.running import Json, print_json
from tidegate.loading import load_steps
from tidegate.normalise import outline

app = typer.Typer(
    help="Look at steps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def group() -> None:
    """Look at steps."""


@app.command("list")
def list_steps(
    steps: Annotated[list[Path], typer.Option(help="A folder of steps; may be given again.")],
    as_json: Json = False,
) -> None:
    """List the steps of folders; a fault in any of them is exit code 2."""
    outlines = sorted(
        (outline(step.config) for step in load_steps(steps)), key=lambda step: str(step["name"])
    )
    if as_json:
        print_json({"steps": outlines})
        return
    for step in outlines:
        print(f"{step['type']:<6} {step['name']:<32} {_when(step)}".rstrip())


def _when(step: dict[str, Any]) -> str:
    if step["type"] == "api":
        return f"{step['method'].upper()} {step['path']}"
    return str(step.get("cron") or ", ".join(step.get("subscribes", ())))
