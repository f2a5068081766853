"""`tidegate config show|check`: what the configuration says, and whether it is right."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cloud.app import check_settings
from cloud.cli.configured import read_settings
from tidegate.configuration import show as as_plain

app = typer.Typer(
    help="Show or check the configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Config = Annotated[Path | None, typer.Option(help="The configuration file.")]


@app.command()
def show(config: Config = None) -> None:
    """Print the settings in force as JSON, secrets masked."""
    print(json.dumps(as_plain(read_settings(config)), indent=2, ensure_ascii=False))


@app.command()
def check(config: Config = None) -> None:
    """Check the configuration; exit with 2 and one line when something is wrong."""
    settings = read_settings(config)
    check_settings(settings)
    print("The configuration is valid.")
