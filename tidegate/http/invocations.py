"""One place that makes the invocations of api steps."""

import os
from typing import Any

from tidegate.contract import StepConfig
from tidegate.engine.context import Invocation


def new_invocation(config: StepConfig, trace_id: str) -> Invocation:
    """Return an invocation of an api step: it is not retried beyond its own conflict re-runs."""
    key = f"{config.name}-{os.urandom(8).hex()}"
    return Invocation(config, trace_id, 1, key, {}, _keep_nothing)


async def _keep_nothing(_name: str, _result: Any) -> None:
    """Record nothing: what is not retried needs its journal only in memory."""
