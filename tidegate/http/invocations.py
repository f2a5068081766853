"""One place that makes the invocations of api steps."""

from time import monotonic

from tidegate.contract import StepConfig
from tidegate.engine.context import Invocation
from tidegate.engine.ids import new_key
from tidegate.engine.journal import MemoryJournal


def new_invocation(config: StepConfig, trace_id: str, *, can_rerun: bool = True) -> Invocation:
    """Return an invocation of an api step, which begins now and commits in time or never.

    It is not retried beyond its own conflict re-runs, and those it has only with `can_rerun`.
    """
    key = f"{config.name}-{new_key()}"
    until_s = monotonic() + config.timeout
    return Invocation(config, trace_id, 1, key, MemoryJournal(), until_s, can_rerun)
