"""An api step whose callers all want one key: it counts how often it is run, too.

The count of runs is kept outside of the state: a run that is thrown away leaves no trace there.
"""

from itertools import count
from typing import Any

from tidegate.contract import Context

config = {"type": "api", "name": "BenchHot", "method": "POST", "path": "/hot", "emits": []}

_runs = count(1)


async def handler(_input: Any, ctx: Context) -> dict[str, Any]:
    """Count the one key up as naively as can be."""
    run = next(_runs)
    value = (await ctx.state.get("bench.hot", "the one") or 0) + 1
    await ctx.state.set("bench.hot", "the one", value)
    return {"status": 200, "body": {"value": value, "runs": run}}
