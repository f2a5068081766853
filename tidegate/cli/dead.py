"""`tidegate dead list|show|redrive`: events that were given up."""

from typing import Annotated, Any

import typer

from tidegate.cli.running import Data, Json, ask, print_json
from tidegate.errors import Misconfigured

_PATH = "/api/v1/steps/dead"

app = typer.Typer(
    help="Look at events that were given up, and try them again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
DeadId = Annotated[int, typer.Argument(metavar="ID", help="The dead event's id.", min=1)]


@app.command("list")
def list_dead(
    data: Data,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 100,
    cursor: Annotated[int, typer.Option(help="Only those after this id.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """List dead events, oldest first."""
    page = _page(data, limit, cursor)
    if as_json:
        print_json(page)
        return
    for letter in page["dead"]:
        error = letter["error"].splitlines()[0]
        print(f"{letter['id']}  {letter['step']}  {letter['topic']}  {error}")
    if page["next_cursor"] is not None:
        print(f"There may be more: --cursor {page['next_cursor']}")


@app.command()
def show(dead_id: DeadId, data: Data, as_json: Json = False) -> None:
    """Show a dead event: payload, error, attempts, stack."""
    letters = _page(data, 1, dead_id - 1)["dead"]
    if not letters or letters[0]["id"] != dead_id:
        raise Misconfigured(f"there is no dead event {dead_id}")
    letter = letters[0]
    if as_json:
        print_json(letter)
        return
    for name, value in letter.items():
        if name != "stack":
            print(f"{name:<12} {value}")
    print(letter["stack"])


@app.command()
def redrive(dead_id: DeadId, data: Data, as_json: Json = False) -> None:
    """Try a dead event again, with all its attempts."""
    answer = ask(data, "POST", f"{_PATH}/{dead_id}/redrive")
    if as_json:
        print_json(answer)


def _page(data: Data, limit: int, cursor: int) -> Any:
    return ask(data, "GET", f"{_PATH}?limit={limit}&cursor={cursor}")
