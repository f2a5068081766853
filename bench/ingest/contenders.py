"""Whoever takes messages from the broker and stores them, each a process that can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.broker import free_port
from bench.ingest import node_red
from bench.ingest.stores import Store

_STALLED_S = 20.0
_POLL_S = 0.1
_STOP_S = 20.0
_PATIENCE_S = 600.0
_LINE_S = 0.002
_NODE_RED_READY = "Connected to broker"
# Node-RED says that it is connected before its subscription is acknowledged.
_NODE_RED_SETTLES_S = 1.0


class NotStored(Exception):
    """The database does not hold what was published."""


class Contender(NamedTuple):
    """Who, and where it stores: `ours`, `node_red` or `tutorial`, with its kind."""

    name: str
    title: str
    program: str
    kind: str
    store: str


OURS = {
    kind: Contender(f"ours_{kind}", f"ours, durable in {title}", "ours", "", kind)
    for kind, title in (
        ("duckdb", "DuckDB"),
        ("influx", "InfluxDB"),
        ("victoria", "VictoriaMetrics"),
    )
}
NODE_RED = {
    kind: Contender(f"node_red_{kind}", f"Node-RED, {title}", "node_red", kind, "influx")
    for kind, title in (("plain", "one write a message"), ("batched", "joined to 1,000"))
}
TUTORIAL = {
    kind: Contender(f"tutorial_{kind}", f"paho + client, {kind}", "tutorial", kind, "victoria")
    for kind in ("sync", "batching")
}


class Running:
    """A contender's process; it is ready when this exists."""

    def __init__(
        self, contender: Contender, store: Store, folder: Path, *, port: int, messages: int
    ) -> None:
        self._contender, self._store, self._messages = contender, store, messages
        command = _command(contender, store, folder, port=port, messages=messages)
        # A file, not a pipe that nobody empties; a session, because a program may start others.
        self._log = folder / f"{contender.name}-{time.monotonic_ns()}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, text=True, start_new_session=True
            )
        self._output = self._log.open()
        self._expect(_NODE_RED_READY if contender.program == "node_red" else "ready")
        if contender.program == "node_red":
            time.sleep(_NODE_RED_SETTLES_S)  # noqa: TID251 - as said above

    def await_stored(self) -> None:
        """Return once everything is stored.

        Raises:
            NotStored: nothing more came into the store for a while.
        """
        if self._contender.program == "ours":
            self._expect("stored")
        elif self.count_at_rest(enough=self._messages) < self._messages:
            raise NotStored(f"{self._contender.title} has stored {self._store.stored()}")

    def figures(self) -> dict[str, float]:
        """Return what ours says of itself at its end (see `bench.ingest.ours`)."""
        return dict(json.loads(self._expect("{")))

    def count_at_rest(self, *, enough: int) -> int:
        """Return how many messages the store holds, once it is enough or grows no more."""
        seen, since_s = -1, time.monotonic()
        while True:
            count = self._store.stored()
            if count >= enough:
                return count
            if count > seen:
                seen, since_s = count, time.monotonic()
            elif time.monotonic() - since_s > _STALLED_S:
                return count
            time.sleep(_POLL_S)  # noqa: TID251 - the database is looked at now and then

    def kill(self) -> None:
        """End the process as a power cut does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._output.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _expect(self, words: str) -> str:
        """Return the process's next line with these words; its end before that is an error."""
        deadline_s = time.monotonic() + _PATIENCE_S
        line = ""
        while time.monotonic() < deadline_s:
            has_ended = self._process.poll() is not None
            line += self._output.readline()
            if line.endswith("\n"):
                if words in line:
                    return line
                line = ""
            elif has_ended:
                break
            else:
                time.sleep(_LINE_S)  # noqa: TID251 - a file does not say that it has grown
        raise NotStored(
            f"{self._contender.title} did not say {words!r}: {self._log.read_text()[-2_000:]}"
        )


@contextmanager
def running(
    contender: Contender, store: Store, folder: Path, *, port: int, messages: int
) -> Iterator[Running]:
    """Start a contender against the broker on `port`; it is gone at the end."""
    process = Running(contender, store, folder, port=port, messages=messages)
    try:
        yield process
    finally:
        process.stop()


def _command(
    contender: Contender, store: Store, folder: Path, *, port: int, messages: int
) -> list[str]:
    match contender.program:
        case "ours":
            points = messages * 3
            arguments = ["bench.ingest.ours", str(port), str(folder), store.url, str(points)]
            return [sys.executable, "-m", *arguments]
        case "tutorial":
            arguments = ["bench.ingest.tutorial", str(port), store.address, contender.kind]
            return [sys.executable, "-m", *arguments]
        case _:
            return node_red.command(
                folder / "node-red",
                contender.kind,
                mqtt_port=port,
                http_port=free_port(),
                influx_url=store.address,
            )
