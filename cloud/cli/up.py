"""`tidegate up`: everything in one process on the embedded defaults."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from cloud.app import run
from cloud.cli.configured import read_settings
from cloud.settings import Broker, Http, Settings
from tidegate.engine.logs import set_up_logging


class Level(StrEnum):
    """From which severity on events are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def up(  # noqa: PLR0917 - typer calls it by names
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of pages and API.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of pages and API.", min=1, max=65535)
    ] = None,
    mqtt_port: Annotated[
        int | None, typer.Option(help="Port of the broker.", min=1, max=65535)
    ] = None,
    agent: Annotated[bool, typer.Option(help="Watch this machine.")] = True,
    simulator: Annotated[bool, typer.Option(help="Run the simulated fleet.")] = True,
    log_level: Annotated[Level, typer.Option(help="What is logged.")] = Level.INFO,
) -> None:
    """Run broker, ingest, analytics, alerts, reports and pages until Ctrl-C."""
    settings = _with_options(read_settings(config, data), host, port, mqtt_port)
    set_up_logging(log_level.value)
    anyio.run(lambda: run(settings, agent=agent, simulator=simulator))


def _with_options(
    settings: Settings, host: str | None, port: int | None, mqtt_port: int | None
) -> Settings:
    replace = msgspec.structs.replace
    http: Http = settings.http
    broker: Broker = settings.broker
    if host is not None:
        http = replace(http, host=host)
    if port is not None:
        http = replace(http, port=port)
    if mqtt_port is not None:
        broker = replace(broker, port=mqtt_port)
    return replace(settings, http=http, broker=broker)
