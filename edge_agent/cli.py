"""`tidegate edge`: run the agent on this machine until it is told to stop."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def edge(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file (TOML); see edge_agent/sample.toml.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the outbox.")] = None,
    *,
    stop_on_eof: Annotated[
        bool, typer.Option(help="Stop when standard input ends: when the parent process dies.")
    ] = False,
) -> None:
    """Read this machine's metrics and publish them over MQTT until SIGTERM or Ctrl-C."""
    options: list[str] = []
    options += ["--config", str(config)] if config else []
    options += ["--data", str(data)] if data else []
    options += ["--stop-on-eof"] if stop_on_eof else []
    # The agent takes this process's place, so that it need not carry the command line's memory.
    os.execv(sys.executable, [sys.executable, "-m", "edge_agent", *options])  # noqa: S606 - ourselves
