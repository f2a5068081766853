"""`tidegate edge`: run the agent on this machine until it is told to stop."""

import logging
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.agent import Agent
from edge_agent.settings import load_settings
from tidegate.errors import Misconfigured

STOP_TIMEOUT_S = 4.5
_WAIT_S = 3_600.0
_EXIT_MISCONFIGURED = 2

# Without rich: importing it would cost 8 MB of the memory that an agent may take.
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


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
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    stopping = _signals()
    try:
        agent = Agent(load_settings(config, data))
    except Misconfigured as exc:
        print(f"tidegate edge: {exc}", file=sys.stderr)
        raise typer.Exit(_EXIT_MISCONFIGURED) from exc
    agent.start()
    _wait(stopping, stop_on_eof=stop_on_eof)
    agent.stop(STOP_TIMEOUT_S)


def _signals() -> socket.socket:
    """Return a socket that becomes readable when SIGTERM or SIGINT comes."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reader


def _wait(stopping: socket.socket, *, stop_on_eof: bool) -> None:
    """Wait for a signal or, if wanted, for the end of standard input."""
    sources = [stopping, sys.stdin] if stop_on_eof else [stopping]
    while True:
        for source in select.select(sources, [], [], _WAIT_S)[0]:
            if source is stopping or not os.read(source.fileno(), 4_096):
                return
