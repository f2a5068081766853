"""`tidegate start`: run folders of steps, and nothing else."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from tidegate.cli.options import Data, Host, Level, LogLevel, Mqtt, Port, Steps, Store
from tidegate.engine.logs import set_up_logging
from tidegate.running.roles import Role
from tidegate.running.serving import Process, run


def start(  # noqa: PLR0917 - typer calls it by names
    steps: Steps,
    data: Data = Path("data"),
    host: Host = "127.0.0.1",
    port: Port = 8080,
    store: Store = None,
    role: Annotated[
        Role, typer.Option(help="Which part of the work this process does.")
    ] = Role.ALL,
    mqtt: Mqtt = None,
    log_level: LogLevel = Level.INFO,
) -> None:
    """Run steps alone until Ctrl-C: their API, their events, their schedules."""
    set_up_logging(log_level.value)
    anyio.run(
        run,
        Process(steps, data, host, port, store, role, mqtt),
        backend_options={"use_uvloop": True},
    )
