"""`tidegate dev`: run folders of steps, and load files again when they change."""

from pathlib import Path

import anyio

from tidegate.cli.options import Data, Host, Level, LogLevel, Mqtt, Port, Steps, Store
from tidegate.engine.logs import set_up_logging
from tidegate.running.roles import Role
from tidegate.running.serving import Process, run


def dev(  # noqa: PLR0917 - typer calls it by names
    steps: Steps,
    data: Data = Path("data"),
    host: Host = "127.0.0.1",
    port: Port = 8080,
    store: Store = None,
    mqtt: Mqtt = None,
    log_level: LogLevel = Level.INFO,
) -> None:
    """Run steps until Ctrl-C; a changed file is loaded again, a faulty one stops no other.

    Answers are checked against `responseSchema`.
    """
    set_up_logging(log_level.value)
    process = Process(steps, data, host, port, store, Role.ALL, mqtt, reloads=True)
    anyio.run(run, process, backend_options={"use_uvloop": True})
