"""The options that `tidegate start` and `tidegate dev` share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Level(StrEnum):
    """From which severity on events are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


Steps = Annotated[list[Path], typer.Option(help="A folder of steps; may be given again.")]
Data = Annotated[Path, typer.Option(help="The data folder.")]
Host = Annotated[str, typer.Option(help="Address of the API.")]
Port = Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)]
Store = Annotated[
    str | None,
    typer.Option(help="sqlite:///FILE or postgresql://…; by default SQLite in the data folder."),
]
Mqtt = Annotated[
    str | None,
    typer.Option(help="mqtt://…: the broker of mqtt steps; joins the streams of processes."),
]
LogLevel = Annotated[Level, typer.Option(help="What is logged.")]
