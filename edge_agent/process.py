"""The agent as a process of its own: logging, signals, exit codes."""

import logging
import os
import select
import signal
import socket
import sys
from pathlib import Path

from edge_agent.agent import Agent
from edge_agent.settings import load_settings
from tidegate.errors import Misconfigured

EXIT_MISCONFIGURED = 2
STOP_TIMEOUT_S = 4.5
_WAIT_S = 3_600.0


def run(config: Path | None, data: Path | None, *, stop_on_eof: bool = False) -> int:
    """Run the agent until SIGTERM or SIGINT; return the exit code.

    With `stop_on_eof` it also ends with its standard input: a parent process that holds the
    other end of that pipe takes the agent along, however it dies.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    stopping = _signals()
    try:
        agent = Agent(load_settings(config, data))
    except Misconfigured as exc:
        sys.stderr.write(f"tidegate edge: {exc}\n")
        return EXIT_MISCONFIGURED
    agent.start()
    _wait(stopping, stop_on_eof=stop_on_eof)
    agent.stop(STOP_TIMEOUT_S)
    return 0


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
    stdin = sys.stdin.fileno() if stop_on_eof else None
    sources = [stopping.fileno()] + ([] if stdin is None else [stdin])
    while True:
        for source in select.select(sources, [], [], _WAIT_S)[0]:
            if source != stdin or not os.read(source, 4_096):
                return
