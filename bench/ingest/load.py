"""The load: the publisher's process, told when to begin."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.ingest.contenders import NotStored

FILTER = "t/+/+/telemetry"
_SETTLE_S = 0.5
_PATIENCE_S = 600.0


class Publisher:
    """A publisher that waits for its word."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._expect("ready")

    def begin(self) -> None:
        """Publish everything once."""
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def await_sent(self) -> None:
        """Return when everything is published and acknowledged by the broker."""
        self._expect("sent")

    def _expect(self, word: str) -> None:
        for line in self._process.stdout or ():
            if line.strip() == word:
                return
        raise NotStored(f"the publisher ended before it said {word!r}")


@contextmanager
def publisher(port: int, **options: float) -> Iterator[Publisher]:
    """Start the publisher with its options (`bench.ingest.publisher`); it is gone at the end."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "bench.ingest.publisher", f"--port={port}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Publisher(process)
        finally:
            process.terminate()
            process.communicate()


def drain_s(port: int, load: Publisher, messages: int) -> float:
    """Return how long `mosquitto_sub -q 1` takes to receive all of a load.

    Raises:
        NotStored: it did not receive all.
    """
    command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-t", FILTER, "-C", str(messages)]
    command += ["-i", "drain", "-c"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as subscriber:
        time.sleep(_SETTLE_S)  # noqa: TID251 - mosquitto_sub does not say when it is ready
        began_s = time.perf_counter()
        load.begin()
        try:
            subscriber.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            subscriber.kill()
            raise NotStored(f"mosquitto_sub has not received {messages} messages") from None
        return time.perf_counter() - began_s
