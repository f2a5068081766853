"""Ask the instance that runs on a data folder, for the commands beside it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.errors import HTTPError, Misconfigured
from tidegate.http.client import ask as ask_address
from tidegate.instance import InstanceFolder

DATA = Path("data")
"""Where `tidegate start` and `up` keep everything unless told otherwise."""
Data = Annotated[Path, typer.Option(help="The data folder of the running instance.")]
Json = Annotated[bool, typer.Option("--json", help="Print the endpoint's JSON.")]


def ask(data: Path, method: str, path: str, *, body: object = None) -> Any:
    """Return the answer of the instance that runs on the folder.

    Raises:
        Misconfigured: none runs there, or it refuses.
    """
    folder = InstanceFolder(data)
    folder.require()
    address = folder.address_of_running()
    if address is None:
        raise Misconfigured(
            f"no instance runs on {folder.path}; start {folder.started_by}, or correct --data"
        )
    try:
        return ask_address(address, folder.admin_token(), method, path, body=body)
    except HTTPError as exc:
        raise Misconfigured(f"{address} answers {exc.status}: {exc.detail}") from exc


def print_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
