"""Api steps against bare Starlette and FastAPI, and many clients on one key."""

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.cores import OTHER
from bench.report import Row
from bench.runs import Run, Series, ratio
from bench.steps.contract import KEYS
from bench.steps.load import WrongSum
from bench.steps.processes import Failed, http_server, output_of

ROUNDS = 3
_SECONDS = 5
_WARM_UP_S = 1
_START_S = 4.0
_CONNECTIONS = 32
_HOT_CLIENTS = 64
_SCRIPT = Path(__file__).parent / "load.lua"
_TIMEOUT_S = 60.0
_ASK_S = 10.0


class Target(NamedTuple):
    """What is called: a server of `http_server`, one of its paths."""

    name: str
    title: str
    server: str
    path: str


TARGETS = (
    Target("starlette", "bare Starlette, JSON echo", "starlette", "/echo"),
    Target("fastapi", "FastAPI, pydantic body", "fastapi", "/echo"),
    Target("stateless", "our step without state", "ours", "/echo"),
    Target("write", "our step, reads and writes state", "ours", "/write"),
)


def load_generator() -> str:
    """Return what makes the load here."""
    return "wrk" if shutil.which("wrk") else "own client (apt-get install wrk for the real one)"


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return the runs on all targets, by turns."""
    seconds = max(1, round(_SECONDS * scale))
    estimate_s = _START_S + seconds
    return [
        Run(f"http, {target.title}", estimate_s, _measure(target, seconds, folder))
        for _ in range(ROUNDS)
        for target in TARGETS
    ]


def hot_runs(folder: Path, *, scale: float) -> list[Run]:
    """Return the runs of many clients on one key."""
    seconds = max(1, round(_SECONDS * scale))
    run = Run("64 clients on one key", _START_S + seconds, _measure_hot(seconds, folder))
    return [run] * ROUNDS


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    return [Row(f"http, {to.title}", series[f"{to.name}.per_s"], "req/s") for to in TARGETS]


def hot_rows(series: Series) -> list[Row]:
    """Return the table's part on one key."""
    return [
        Row("64 clients on one key", series["hot.per_s"], "req/s"),
        Row("64 clients on one key, runs of the handler a call", series["hot.runs_a_call"], "runs"),
    ]


def figures(series: Series) -> dict[str, object]:
    """Return the JSON line's part."""
    return {
        "write_vs_starlette": ratio(series, "write.per_s", "starlette.per_s"),
        "stateless_vs_starlette": ratio(series, "stateless.per_s", "starlette.per_s"),
        "fastapi_vs_starlette": ratio(series, "fastapi.per_s", "starlette.per_s"),
        "starlette_per_s": round(median(series["starlette.per_s"])),
        "http_load": load_generator(),
    }


def hot_figures(series: Series) -> dict[str, object]:
    """Return the JSON line's part on one key; the re-runs are those of a median run."""
    return {
        "hot_key_per_s": round(median(series["hot.per_s"])),
        "hot_key_reruns": round(median(series["hot.reruns"])),
        "hot_key_runs_a_call": round(median(series["hot.runs_a_call"]), 3),
    }


class Answered(NamedTuple):
    """What the load saw."""

    calls: int
    seconds: float


def read_load(output: str) -> Answered:
    """Return what `load.lua` or `http_calls flood` printed.

    Raises:
        Failed: calls went wrong, or the line is not there.
    """
    found = [line.split() for line in output.splitlines() if line.startswith("found ")]
    if not found:
        raise Failed(f"the load printed nothing that can be read:\n{output}")
    calls, microseconds, wrong = map(int, found[-1][1:])
    if wrong:
        raise Failed(f"{wrong} of {calls} calls were not answered with 200")
    return Answered(calls, microseconds / 1_000_000)


def _measure(target: Target, seconds: int, folder: Path) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with http_server(target.server, folder) as port:
            warm = _load(port, target.path, connections=_CONNECTIONS, seconds=_WARM_UP_S)
            found = _load(port, target.path, connections=_CONNECTIONS, seconds=seconds)
            if target.path == "/write":
                _check(_ask(port, "GET", "/calls")["calls"], warm, found)
        return {f"{target.name}.per_s": found.calls / found.seconds}

    return measure


def _check(stored: int, warm: Answered, found: Answered) -> None:
    """Compare with what was answered; each load leaves up to a call per connection behind it."""
    answered = warm.calls + found.calls
    if not answered <= stored <= answered + 2 * _CONNECTIONS:
        raise WrongSum(f"the state counts {stored} calls, {answered} were answered")


def _measure_hot(seconds: int, folder: Path) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with http_server("ours", folder) as port:
            found = _load(port, "/hot", connections=_HOT_CLIENTS, seconds=seconds)
            # Alone: this call meets nobody, so its run is the last of all.
            last = _ask(port, "POST", "/hot")
        value, handler_runs = last["value"], last["runs"]
        if not found.calls < value <= found.calls + _HOT_CLIENTS + 1:
            raise WrongSum(f"the key counts {value} calls, {found.calls} were answered")
        return {
            "hot.per_s": found.calls / found.seconds,
            "hot.reruns": handler_runs - value,
            "hot.runs_a_call": handler_runs / value,
        }

    return measure


def _load(port: int, path: str, *, connections: int, seconds: int) -> Answered:
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, "-m", "bench.steps.http_calls", "flood", str(port), path]
        command += [str(connections), str(seconds)]
    else:
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
        command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}{path}", "--", str(KEYS)]
    return read_load(output_of(command, core=OTHER, timeout_s=seconds + _TIMEOUT_S))


def _ask(port: int, method: str, path: str) -> dict[str, int]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=_ASK_S) as answer:
        found: dict[str, int] = json.load(answer)
    return found
