"""Call foreign code so that whatever it raises is an error of that one invocation.

What is no `Exception` would end more than the invocation: `sys.exit()` the process, with it every
other event, and again after each restart; a cancellation that nobody asked for the worker alone,
which would leave its delivery leased for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidegate.engine.journal import Suspended

A = TypeVar("A")
T = TypeVar("T")


class HandlerBrokeOff(Exception):
    """A handler ended itself by other means than an error."""


async def call_foreign(fn: Callable[[A], Awaitable[T]], argument: A) -> T:
    """Call it.

    Raises:
        HandlerBrokeOff: it meant to end the process, or awaited what was cancelled.
        Suspended: it came to a durable wait, also in a task group of its own.
    """
    try:
        return await fn(argument)
    except SystemExit as exc:
        raise HandlerBrokeOff(f"the handler called exit({exc.code})") from exc
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise HandlerBrokeOff("the handler awaited something that was cancelled") from exc
    except BaseExceptionGroup as group:
        paused, others = group.split(Suspended)
        if paused is not None and others is None:
            raise _first(paused) from group
        if isinstance(others, Exception):
            raise others from group
        raise


def _first(group: BaseExceptionGroup[Suspended]) -> Suspended:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
