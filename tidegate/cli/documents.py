"""`tidegate openapi`, `tidegate asyncapi`: what a system of some steps says of itself."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.options import Steps
from tidegate.describe import asyncapi as of_events
from tidegate.describe import openapi as of_requests
from tidegate.describe.surface import Surface, surface_of
from tidegate.errors import Misconfigured
from tidegate.running.loading import load_steps
from tidegate.running.serving import LOGINS, WORKBENCH

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write it; else it is printed.")
]


def openapi(steps: Steps, output: Output = None) -> None:
    """Write the OpenAPI 3.1 document that `tidegate start` serves with these steps."""
    _write(of_requests.openapi, steps, output)


def asyncapi(steps: Steps, output: Output = None) -> None:
    """Write the AsyncAPI 3.0 document that `tidegate start` serves with these steps."""
    _write(of_events.asyncapi, steps, output)


def write_text(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file.

    Raises:
        Misconfigured: the file cannot be written.
    """
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as exc:
        raise Misconfigured(f"{output} cannot be written ({exc.strerror})") from exc


def _write(
    describe: Callable[[Surface], dict[str, Any]], roots: list[Path], output: Path | None
) -> None:
    steps = load_steps([WORKBENCH, LOGINS, *roots])
    document = describe(surface_of(steps, version=version("tidegate")))
    write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", output)
