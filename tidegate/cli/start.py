"""`tidegate start`: run folders of steps, and nothing else."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import typer

from tidegate.engine.logs import set_up_logging
from tidegate.serving import Process, run


class Level(StrEnum):
    """From which severity on events are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def start(  # noqa: PLR0917 - typer calls it by names
    steps: Annotated[list[Path], typer.Option(help="A folder of steps; may be given again.")],
    data: Annotated[Path, typer.Option(help="The data folder.")] = Path("data"),
    host: Annotated[str, typer.Option(help="Address of the API.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)] = 8080,
    store: Annotated[
        str | None,
        typer.Option(
            help="sqlite:///FILE or postgresql://…; by default SQLite in the data folder."
        ),
    ] = None,
    log_level: Annotated[Level, typer.Option(help="What is logged.")] = Level.INFO,
) -> None:
    """Run steps alone until Ctrl-C: their API, their events, their schedules."""
    set_up_logging(log_level.value)
    anyio.run(run, Process(steps, data, host, port, store))
