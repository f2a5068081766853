"""What is lost when whoever stores is killed in the middle, and started again.

The broker keeps the session of each contender; what was acknowledged before it was stored is
gone all the same.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.broker import mosquitto
from bench.ingest.contenders import NODE_RED, OURS, TUTORIAL, Contender, NotStored, running
from bench.ingest.load import publisher
from bench.ingest.rates import DEVICES, scaled
from bench.ingest.stores import store
from bench.report import Row
from bench.runs import Run, Series

_RATE = 2_000
_SECONDS = 8
_KILLED_AFTER = 0.5
_ESTIMATE_S = 40.0


class Part(NamedTuple):
    """Who is killed, at which load (messages a second)."""

    contender: Contender
    rate: int


# Who writes each message by itself is not overloaded: what he loses then is his way, not his speed.
_PARTS = (
    Part(OURS["influx"], _RATE),
    Part(NODE_RED["plain"], _RATE // 2),
    Part(NODE_RED["batched"], _RATE),
    Part(TUTORIAL["sync"], _RATE // 2),
    Part(TUTORIAL["batching"], _RATE),
)


def runs(folder: Path, *, scale: float) -> list[Run]:
    """Return one run for each contender."""
    return [
        Run(
            f"kill -9, {part.contender.title}",
            _ESTIMATE_S,
            _kill(part, folder, scaled(part.rate * _SECONDS, scale)),
        )
        for part in _PARTS
    ]


def rows(series: Series) -> list[Row]:
    """Return the table's part."""
    return [
        Row(f"lost by kill -9, {part.contender.title}", series[_name(part)], "messages")
        for part in _PARTS
    ]


def figures(series: Series) -> dict[str, float]:
    """Return the JSON line's part."""
    return {_name(part): series[_name(part)][0] for part in _PARTS}


def _name(part: Part) -> str:
    return f"lost_{part.contender.name}"


def _kill(part: Part, folder: Path, messages: int) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        with (
            tempfile.TemporaryDirectory(dir=folder) as name,
            store(part.contender.store, Path(name)) as target,
            mosquitto() as port,
            publisher(port, messages=messages, devices=DEVICES, rate=part.rate) as load,
        ):
            options = (part.contender, target, Path(name))
            with running(*options, port=port, messages=messages) as process:
                load.begin()
                time.sleep(_KILLED_AFTER * messages / part.rate)  # noqa: TID251 - a load's middle
                process.kill()
            if target.stored() == messages:
                raise NotStored(f"{part.contender.title} was killed when it had stored everything")
            load.await_sent()
            with running(*options, port=port, messages=messages) as process:
                return {_name(part): messages - process.count_at_rest(enough=messages)}

    return measure
