"""`tidegate user add|list|disable|enable|roles|password`: who may log in to a running instance."""

import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tidegate.cli.running import DATA, Data, Json, ask, print_json
from tidegate.errors import Misconfigured

_PATH = "/api/v1/auth/users"
_PAGE = 1000

app = typer.Typer(
    help="Manage users of the running instance.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(metavar="USER", help="The user's name.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role; may be given again.")]
Tenants = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant",
        metavar="TENANT[:ROLE,...]",
        help="A tenant, and the roles in it; may be given again. The first is the default.",
    ),
]


@app.command()
def add(  # noqa: PLR0917 - typer calls it by names
    user: Name,
    data: Data = DATA,
    role: Roles = None,
    tenant: Tenants = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Only to own API keys: nobody can log in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    body: dict[str, Any] = {"username": user, "roles": role or [], **_membership(tenant or [])}
    if not no_password:
        body["password"] = read_password()
    answer = ask(data, "POST", _PATH, body=body)
    if as_json:
        print_json(answer)


@app.command("list")
def list_users(data: Data = DATA, as_json: Json = False) -> None:
    """List users with their roles."""
    users = _all(data)
    if as_json:
        print_json({"users": users})
        return
    for user in users:
        state = "disabled" if user["disabled"] else "enabled" if user["has_password"] else "keys"
        roles = [*user["roles"], *(_inside(*item) for item in sorted(user["tenants"].items()))]
        print(f"{user['username']:<24} {state:<9} {' '.join(roles)}".rstrip())


@app.command()
def disable(user: Name, data: Data = DATA, as_json: Json = False) -> None:
    """Disable a user: sessions and logins end, API keys are closed until it is enabled again."""
    _change(data, user, {"disabled": True}, as_json=as_json)


@app.command()
def enable(user: Name, data: Data = DATA, as_json: Json = False) -> None:
    """Enable a user again; what was begun before stays ended."""
    _change(data, user, {"disabled": False}, as_json=as_json)


@app.command()
def roles(
    user: Name, data: Data = DATA, role: Roles = None, tenant: Tenants = None, as_json: Json = False
) -> None:
    """Replace all roles and tenants of a user by those that are given; in force at once."""
    body = {"roles": role or [], "tenant": None, **_membership(tenant or [])}
    _change(data, user, body, as_json=as_json)


@app.command()
def password(user: Name, data: Data = DATA) -> None:
    """Give a user a new password, asked for or read from standard input; its logins end."""
    ask(data, "POST", f"{_path(user)}/password", body={"password": read_password()})


def read_password() -> str:
    """Ask for a password twice on a terminal, else read one line of standard input.

    Never an argument: those are seen by everybody on the machine, and kept in histories.

    Raises:
        Misconfigured: there is none.
    """
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    line = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not line:
        raise Misconfigured("no password: type it, or pass it as one line on standard input")
    return line


def _membership(tenants: list[str]) -> dict[str, Any]:
    """Return tenants with roles, from `acme:owner,billing`."""
    held: dict[str, list[str]] = {}
    for text in tenants:
        name, _, listed = text.partition(":")
        held[name] = [role for role in listed.split(",") if role]
    return {"tenants": held, **({"tenant": next(iter(held))} if held else {})}


def _inside(tenant: str, held: list[str]) -> str:
    return f"{tenant}:{','.join(held)}"


def _all(data: Data) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = ask(data, "GET", f"{_PATH}?limit={_PAGE}&cursor={quote(cursor, safe='')}")
        users += page["users"]
        if page["next_cursor"] is None:
            return users
        cursor = page["next_cursor"]


def _change(data: Data, user: str, body: dict[str, Any], *, as_json: bool) -> None:
    answer = ask(data, "PATCH", _path(user), body=body)
    if as_json:
        print_json(answer)


def _path(user: str) -> str:
    return f"{_PATH}/{quote(user, safe='')}"
