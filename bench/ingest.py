"""Durable ingestion against what the same broker can deliver at all.

Both sides subscribe at QoS 1 to the same load: 1,000 devices, one message of 3 values each.
`mosquitto_sub` throws the messages away; the pipeline decodes, stores them in DuckDB, accounts
for them, and only then acknowledges. The points are counted in the database afterwards.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from bench.broker import mosquitto
from bench.report import Report, Row

MESSAGES = 100_000
DEVICES = 1_000
WINDOW = 4_000
VALUES = 3
RUNS = 3
_FILTER = "t/+/+/telemetry"
_SETTLE_S = 0.5

Process = subprocess.Popen[str]


class NotStored(Exception):
    """The database does not hold what was published."""


def run() -> Report:
    """Measure both sides by turns, three times."""
    drained, stored = [], []
    for _ in range(RUNS):
        drained.append(MESSAGES / _drain_s())
        stored.append(MESSAGES / _store_s())
    rows = [
        Row("mosquitto_sub -q 1 drains", drained, "msg/s"),
        Row("durable in DuckDB", stored, "msg/s"),
    ]
    figures: dict[str, object] = {
        "vs_mosquitto_sub_duckdb": round(rows[1].median() / rows[0].median(), 3),
        "mosquitto_sub_per_s": round(rows[0].median()),
        "duckdb_per_s": round(rows[1].median()),
        "messages": MESSAGES,
        "devices": DEVICES,
        "values_per_message": VALUES,
    }
    return Report("ingest: one message of 3 values each, 1,000 devices, QoS 1", rows, figures)


def _drain_s() -> float:
    with mosquitto() as port, _publisher(port) as publisher:
        command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-t", _FILTER, "-C", str(MESSAGES)]
        command += ["-i", "drain", "-c"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as subscriber:
            time.sleep(_SETTLE_S)  # noqa: TID251 - mosquitto_sub does not say when it is ready
            began_s = time.perf_counter()
            _tell(publisher)
            subscriber.wait()
            return time.perf_counter() - began_s


def _store_s() -> float:
    with tempfile.TemporaryDirectory() as name, mosquitto() as port, _publisher(port) as publisher:
        folder, points = Path(name), MESSAGES * VALUES
        arguments = ["bench.ingest_process", str(port), name, str(points)]
        with _python(*arguments) as pipeline:
            _expect(pipeline, "ready")
            began_s = time.perf_counter()
            _tell(publisher)
            _expect(pipeline, "stored")
            took_s = time.perf_counter() - began_s
            pipeline.wait()
        _check(folder / "telemetry.duckdb", points)
        return took_s


def _check(path: Path, points: int) -> None:
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute("SELECT count(*) FROM points").fetchall()[0][0]
    if found != points:
        raise NotStored(f"{found} points are in the database, {points} were published")


@contextmanager
def _publisher(port: int) -> Iterator[Process]:
    with _python("bench.publisher", *map(str, (port, MESSAGES, DEVICES, WINDOW))) as process:
        _expect(process, "ready")
        yield process
        process.communicate()


@contextmanager
def _python(module: str, *arguments: str) -> Iterator[Process]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _tell(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()


def _expect(process: Process, word: str) -> None:
    """Read the process's lines up to this word; its end before that is an error."""
    for line in process.stdout or ():
        if line.strip() == word:
            return
    raise NotStored(f"a process of the bench ended before it said {word!r}")
