"""One contender in a process of its own: `python -m bench.steps.contender NAME …`.

Prints one JSON object; what goes wrong ends it with an error and no object.
"""

import argparse
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import quantiles

import anyio

from bench.steps.contract import Contender, First, Open, Where
from bench.steps.load import Load, resident_bytes
from bench.steps.loop import BACKEND_OPTIONS

_WARM_UP = 100
_WARM_UP_PART = 5
_FIRST_PART = 100
_PAUSE_S = 0.002
_STEPS_A_CHAIN = 2

Found = Mapping[str, float]


def main() -> None:
    """Open the contender, put the load on it, print what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps.contender", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("what", choices=sorted(_MEASURES))
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    where = Where(options.folder, options.url)
    found = anyio.run(
        _measure, options.name, options.what, where, options.count, backend_options=BACKEND_OPTIONS
    )
    print(json.dumps(found))


async def _measure(name: str, what: str, where: Where, count: int) -> Found:
    load = Load()
    opened: Open = importlib.import_module(f"bench.steps.{name}").contender
    async with opened(where, load.handled) as contender:
        await load.chains(contender, min(_WARM_UP, count // _WARM_UP_PART))
        found = await _MEASURES[what](load, contender, count)
        await load.check(contender)
    return found


async def _chains(load: Load, contender: Contender, count: int) -> Found:
    return {"chains_per_s": count / await load.chains(contender, count)}


async def _latency(load: Load, contender: Contender, count: int) -> Found:
    p50_ms, p99_ms = await _percentiles(load, contender, First.SECOND, count)
    return {"p50_ms": p50_ms, "p99_ms": p99_ms}


async def _committed(load: Load, contender: Contender, count: int) -> Found:
    p50_ms, p99_ms = await _percentiles(load, contender, First.COMMITTED, count)
    return {"committed_p50_ms": p50_ms, "committed_p99_ms": p99_ms}


async def _percentiles(
    load: Load, contender: Contender, first: First, count: int
) -> tuple[float, float]:
    waits_ms = await load.latencies_ms(contender, first, count, pause_s=_PAUSE_S)
    hundredths = quantiles(waits_ms, n=100)
    return hundredths[49], hundredths[98]


async def _memory(load: Load, contender: Contender, count: int) -> Found:
    """Measure after a hundredth of the events and after all; `count` is of events."""
    early = count // _FIRST_PART
    await load.chains(contender, early // _STEPS_A_CHAIN)
    early_bytes = resident_bytes()
    seconds = await load.chains(contender, (count - early) // _STEPS_A_CHAIN)
    return {
        "early_bytes": early_bytes,
        "late_bytes": resident_bytes(),
        "events_per_s": (count - early) / seconds,
    }


_MEASURES = {
    "chains": _chains,
    "latency": _latency,
    "committed": _committed,
    "memory": _memory,
}


if __name__ == "__main__":
    main()
