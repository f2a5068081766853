"""`tidegate state get|set|list`: values of the running instance's state."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from tidegate.cli.running import DATA, Data, Json, ask, print_json
from tidegate.errors import Misconfigured

_PATH = "/api/v1/state"

app = typer.Typer(
    help="Look at the state, and correct it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Group = Annotated[str, typer.Argument(metavar="GROUP", help="The value's group.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The value's key in the group.")]


@app.command()
def get(group_name: Group, key: Key, data: Data = DATA, as_json: Json = False) -> None:
    """Print a value as JSON."""
    answer = ask(data, "GET", _path(group_name, key))
    print_json(answer if as_json else answer["value"])


@app.command("set")
def set_value(
    group_name: Group,
    key: Key,
    value_json: Annotated[str, typer.Argument(metavar="JSON", help="The new value.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Set a value, for good."""
    try:
        value = msgspec.json.decode(value_json)
    except msgspec.DecodeError as exc:
        raise Misconfigured(f"the value is no JSON: {exc}") from exc
    answer = ask(data, "PUT", _path(group_name, key), body={"value": value})
    if as_json:
        print_json(answer)


@app.command("list")
def list_state(
    data: Data = DATA,
    group_name: Annotated[
        str | None, typer.Argument(metavar="[GROUP]", help="Whose keys; else groups are listed.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 100,
    cursor: Annotated[str, typer.Option(help="Only those after this name.")] = "",
    as_json: Json = False,
) -> None:
    """List groups with how many keys each holds, or the keys of a group."""
    path = _PATH if group_name is None else _path(group_name)
    page = ask(data, "GET", f"{path}?limit={limit}&cursor={quote(cursor, safe='')}")
    if as_json:
        print_json(page)
        return
    for line in _lines(page):
        print(line)
    if page["next_cursor"] is not None:
        print(f"There may be more: --cursor '{page['next_cursor']}'")


def _lines(page: dict[str, Any]) -> list[str]:
    if "groups" in page:
        return [f"{found['keys']:>8}  {found['group']}" for found in page["groups"]]
    return list(page["keys"])


def _path(*names: str) -> str:
    return "/".join((_PATH, *(_segment(name) for name in names)))


def _segment(name: str) -> str:
    """Encode dots as well: a segment of nothing else is a step up to clients."""
    return quote(name, safe="").replace(".", "%2E")
