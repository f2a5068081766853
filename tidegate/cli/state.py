"""`tidegate state get`: one value of the running instance's state."""

from typing import Annotated
from urllib.parse import quote

import typer

from tidegate.cli.running import Data, Json, ask, print_json

app = typer.Typer(
    help="Look at the state.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def group() -> None:
    """Look at the state."""


@app.command()
def get(
    group_name: Annotated[str, typer.Argument(metavar="GROUP", help="The value's group.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The value's key in the group.")],
    data: Data,
    as_json: Json = False,
) -> None:
    """Print a value as JSON."""
    path = f"/api/v1/state/{quote(group_name, safe='')}/{quote(key, safe='')}"
    answer = ask(data, "GET", path)
    print_json(answer if as_json else answer["value"])
