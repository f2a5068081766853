"""A mosquitto of the bench's own, on a free port, gone at the end."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The window must hold two batches of the pipeline, else the broker waits for us and we for it.
_CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 20000
max_queued_messages 1000000
"""
_START_S = 5.0


@contextmanager
def mosquitto() -> Iterator[int]:
    """Run mosquitto; the value is its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "mosquitto.conf"
        conf.write_text(_CONFIGURATION.format(port=port), "utf-8")
        with subprocess.Popen(["mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as broker:
            try:
                await_port(port)
                yield port
            finally:
                broker.terminate()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, *, timeout_s: float = _START_S) -> None:
    """Return when somebody listens on the port; raise `OSError` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return
