"""`tidegate telemetry delete`: delete stored points through the running instance."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import httpx
import typer

from cloud.cli.configured import read_settings
from cloud.data_folder import DataFolder
from tidegate.errors import Misconfigured
from wire.errors import Malformed
from wire.ids import device_id, tenant_id

_TIMEOUT_S = 60.0

app = typer.Typer(
    help="Delete stored telemetry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _telemetry() -> None:
    """Keep `delete` a subcommand though it is the only one."""


@app.command()
def delete(
    tenant: str,
    device: Annotated[str | None, typer.Argument(help="Only this device of the tenant.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Delete all stored points of a tenant, or of one device; accounts and ledger stay."""
    whose = tenant if device is None else f"{tenant}/{device}"
    path = _path(tenant, device)
    folder = DataFolder(read_settings(config, data).data)
    folder.require()
    address = folder.address_of_running()
    if not address:
        raise Misconfigured(f"nothing runs on {folder.path}: start `tidegate up` first")
    if not yes:
        what = "all devices of tenant" if device is None else "device"
        typer.confirm(f"Delete the telemetry of {what} {whose} for ever?", abort=True)
    answer = _ask(f"{address}{path}", folder.admin_token())
    print(f"deleted {answer['series']} series of {answer['devices']} devices: {whose}")


def _path(tenant: str, device: str | None) -> str:
    try:
        name = quote(tenant_id(tenant), safe="")
        if device is None:
            return f"/api/v1/tenants/{name}/telemetry"
        return f"/api/v1/devices/{name}/{quote(device_id(device), safe='')}/telemetry"
    except Malformed as exc:
        raise Misconfigured(str(exc)) from exc


def _ask(url: str, token: str) -> dict[str, int]:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = httpx.delete(url, headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError as exc:
        raise Misconfigured(f"the running instance does not answer: {exc}") from exc
    if answer.is_error:
        raise Misconfigured(f"the running instance answers {answer.status_code}: {answer.text}")
    body: dict[str, int] = answer.json()
    return body
