"""`tidegate key add|list|revoke|rotate-signing`: API keys of a running instance."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tidegate.cli.running import DATA, Data, Json, ask, print_json

_PATH = "/api/v1/auth/keys"

app = typer.Typer(
    help="Manage API keys of the running instance.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def add(  # noqa: PLR0917 - typer calls it by names
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    owner: Annotated[str, typer.Option(help="The user that the key acts for.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, as telemetry:read; may be given again.")
    ],
    data: Data = DATA,
    tenant: Annotated[str | None, typer.Option(help="The one tenant that it may enter.")] = None,
    expires_days: Annotated[
        int | None, typer.Option(help="After how many days it ends.", min=1, max=3650)
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it: it is told this once."""
    body: dict[str, Any] = {"name": name, "owner": owner, "scopes": scope, "tenant": tenant}
    if expires_days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=expires_days)).isoformat()
    answer = ask(data, "POST", _PATH, body=body)
    if as_json:
        print_json(answer)
        return
    print(answer["key"])
    print("Keep it now: it is not shown again.", file=sys.stderr)


@app.command("list")
def list_keys(
    data: Data = DATA,
    owner: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    as_json: Json = False,
) -> None:
    """List keys by their public prefix, oldest first; never their secrets."""
    query = f"?owner={quote(owner, safe='')}" if owner else ""
    answer = ask(data, "GET", f"{_PATH}{query}")
    if as_json:
        print_json(answer)
        return
    for key in answer["keys"]:
        tenant = f"@{key['tenant']}" if key["tenant"] else ""
        whose = f"{key['owner']}{tenant}"
        print(
            f"{key['prefix']}  {_state(key):<22} {whose:<24} {' '.join(key['scopes'])}"
            f"  {key['name']}"
        )


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="The key's public part.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Revoke a key, at once and for good."""
    answer = ask(data, "DELETE", f"{_PATH}/{quote(prefix, safe='')}")
    if as_json:
        print_json(answer)


@app.command("rotate-signing")
def rotate_signing(data: Data = DATA, as_json: Json = False) -> None:
    """Sign access tokens with a new secret; the old one verifies until its tokens are over."""
    answer = ask(data, "POST", "/api/v1/auth/signing-key")
    if as_json:
        print_json(answer)


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {key['revoked_at'][:10]}"
    if not key["expires_at"]:
        return "valid"
    over = datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC)
    return f"{'expired' if over else 'until'} {key['expires_at'][:10]}"
