"""`tidegate device add|list`: accounts of devices, also while `tidegate up` runs."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from broker.accounts import new_account
from cloud.cli.configured import read_settings
from cloud.data_folder import DataFolder
from cloud.fleet.registry import Registry, RegistryAway
from tidegate.errors import Misconfigured
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

app = typer.Typer(
    help="Add and list devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Config = Annotated[Path | None, typer.Option(help="The configuration file.")]
Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def add(
    tenant: str, device: str, config: Config = None, data: Data = None, as_json: Json = False
) -> None:
    """Add a device, or give one new credentials; in effect within 5 seconds."""
    try:
        key = DeviceKey(tenant_id(tenant), device_id(device))
        credentials = _registry(config, data).add(key)
    except (Malformed, RegistryAway) as exc:
        raise Misconfigured(str(exc)) from exc
    if as_json:
        print(msgspec.json.encode(credentials).decode())
        return
    print(f"MQTT user and client id  {credentials.mqtt_username}")
    print(f"MQTT password            {credentials.mqtt_password}")
    print(f"HTTP token               {credentials.http_token}")


@app.command("list")
def list_devices(config: Config = None, data: Data = None, as_json: Json = False) -> None:
    """List the devices."""
    devices = _registry(config, data).devices()
    if as_json:
        print(json.dumps({"devices": msgspec.to_builtins(devices)}))
        return
    for device in devices:
        print(f"{device.tenant}/{device.device}")


def _registry(config: Path | None, data: Path | None) -> Registry:
    folder = DataFolder(read_settings(config, data).data)
    folder.require()
    return Registry(folder.fleet, new_account=new_account)
