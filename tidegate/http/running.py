"""The `ctx` of a handler that goes on over several invocations.

A handler that streams or holds a WebSocket keeps one `ctx` for all of its life. What it calls
on it acts in the invocation that is running where it is called.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from tidegate.contract import Context
from tidegate.errors import TidegateError


class CannotRunAgain(TidegateError):
    """What was read has changed, but the part of the handler that read it is over."""


class Slot:
    """Where a piece of a handler finds the context of the invocation that it is in now."""

    __slots__ = ("ctx", "outbox")

    def __init__(self, ctx: Context | None = None, outbox: Any = None) -> None:
        self.ctx = ctx
        self.outbox = outbox


_slot: ContextVar[Slot | None] = ContextVar("tidegate_slot", default=None)


@contextmanager
def bound(slot: Slot) -> Iterator[Slot]:
    """Run what is inside in the slot's invocation; afterwards the slot is in none."""
    token = _slot.set(slot)
    try:
        yield slot
    finally:
        _slot.reset(token)
        slot.ctx = slot.outbox = None


def current_slot() -> Slot | None:
    """Return the slot of the invocation that is running here, None outside of any."""
    slot = _slot.get()
    return slot if slot is not None and slot.ctx is not None else None


class RunningContext:
    """See `tidegate.contract.Context`; the parts are those of the running invocation."""

    def __getattr__(self, name: str) -> Any:
        """Return a part of the running invocation's context."""
        slot = current_slot()
        if slot is None:
            raise RuntimeError(
                f"ctx.{name} is used where no invocation runs; "
                "use it in the handler or in a callback of req.ws.on(…)"
            )
        return getattr(slot.ctx, name)


def running_context() -> Context:
    """Return a context that acts in whichever invocation is running."""
    return cast("Context", RunningContext())
