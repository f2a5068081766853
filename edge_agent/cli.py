"""`tidegate edge`: run the agent on this machine until it is told to stop."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Configuration (TOML): broker, account, sources, filters. Without it the agent"
        " publishes as default/edge to 127.0.0.1:1883.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where readings are kept until the cloud has them. Goes over 'data' in the"
        " configuration, which is edge-data by default.",
    ),
]
StopOnEof = Annotated[
    bool,
    typer.Option(
        "--stop-on-eof",
        help="Stop when standard input ends too: a parent that holds its other end takes the"
        " agent along, however it dies.",
    ),
]


@app.command()
def edge(config: Config = None, data: Data = None, *, stop_on_eof: StopOnEof = False) -> None:
    """Read this machine's metrics and publish them over MQTT until SIGTERM or Ctrl-C.

    The password comes from the file or from TIDEGATE__MQTT__PASSWORD. A broker that is away is
    waited for. Exit code 2: the configuration must be corrected.
    """
    options: list[str] = []
    options += ["--config", str(config)] if config else []
    options += ["--data", str(data)] if data else []
    options += ["--stop-on-eof"] if stop_on_eof else []
    # The agent takes this process's place: it need not carry the command line's 10 MB.
    os.execv(sys.executable, [sys.executable, "-m", "edge_agent", *options])  # noqa: S606 - ourselves
