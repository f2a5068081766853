"""`tidegate dead list|show|redrive|purge`: events that were given up."""

from typing import Annotated, Any

import typer

from tidegate.cli.running import DATA, Data, Json, ask, print_json
from tidegate.errors import Misconfigured

_PATH = "/api/v1/steps/dead"

app = typer.Typer(
    help="Look at events that were given up; try them again, or forget them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
DeadId = Annotated[int, typer.Argument(metavar="ID", help="The dead event's id.", min=1)]
DeadIds = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="The dead events' ids.", min=1)
]
All = Annotated[bool, typer.Option("--all", help="All of them, instead of some by their ids.")]


@app.command("list")
def list_dead(
    data: Data = DATA,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 100,
    cursor: Annotated[int, typer.Option(help="Only those after this id.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """List dead events, oldest first."""
    page = ask(data, "GET", f"{_PATH}?limit={limit}&cursor={cursor}")
    if as_json:
        print_json(page)
        return
    for letter in page["dead"]:
        error = next(iter(letter["error"].splitlines()), "")
        print(f"{letter['id']}  {letter['step']}  {letter['topic']}  {error}")
    if page["next_cursor"] is not None:
        print(f"There may be more: --cursor {page['next_cursor']}")


@app.command()
def show(dead_id: DeadId, data: Data = DATA, as_json: Json = False) -> None:
    """Show a dead event: payload, error, attempts, stack."""
    letter = ask(data, "GET", f"{_PATH}/{dead_id}")
    if as_json:
        print_json(letter)
        return
    for name, value in letter.items():
        if name != "stack":
            print(f"{name:<12} {value}")
    print(letter["stack"])


@app.command()
def redrive(
    data: Data = DATA, dead_ids: DeadIds = None, everything: All = False, as_json: Json = False
) -> None:
    """Try dead events again, with all their attempts."""
    chosen = _chosen(dead_ids, everything=everything)
    one = chosen.get("ids", [])
    if len(one) == 1:
        answer = ask(data, "POST", f"{_PATH}/{one[0]}/redrive")
    else:
        answer = ask(data, "POST", f"{_PATH}/redrive", body=chosen)
    _say(answer, as_json=as_json)


@app.command()
def purge(
    data: Data = DATA, dead_ids: DeadIds = None, everything: All = False, as_json: Json = False
) -> None:
    """Forget dead events, for good."""
    chosen = _chosen(dead_ids, everything=everything)
    one = chosen.get("ids", [])
    if len(one) == 1:
        answer = ask(data, "DELETE", f"{_PATH}/{one[0]}")
    else:
        answer = ask(data, "POST", f"{_PATH}/purge", body=chosen)
    _say(answer, as_json=as_json)


def _chosen(dead_ids: list[int] | None, *, everything: bool) -> dict[str, Any]:
    """Return which dead events are meant, as the endpoints take it."""
    if everything == bool(dead_ids):
        raise Misconfigured("name the ids of dead events, or say --all")
    return {"all": True} if everything else {"ids": sorted(set(dead_ids or ()))}


def _say(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print an answer; how many of several were there is said to people, too."""
    if as_json:
        print_json(answer)
    elif "id" not in answer:
        print(*(f"{count} {done}" for done, count in answer.items()))
