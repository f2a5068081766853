"""A handler that is an async generator: its answer is a stream of what it yields.

What comes before the first piece is an invocation like any other: it commits before the first
byte leaves, and runs again on a conflict. Each later piece is an invocation of its own, which
commits before the piece leaves; it cannot run again, so a conflict in it ends the stream.
"""

import inspect
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tidegate.contract import Context, Step
from tidegate.engine.engine import Engine
from tidegate.http.invocations import new_invocation
from tidegate.http.request import Request
from tidegate.http.running import CannotRunAgain, Slot, bound, running_context

_END = object()


def is_generator(step: Step) -> bool:
    """Tell whether a step's handler yields its answer."""
    return inspect.isasyncgenfunction(step.handler)


async def first_segment(engine: Engine, step: Step, request: Request, ctx: Context) -> Any:
    """Run a generator handler up to its first piece; returns the answer to stream."""
    pieces = await engine.call_handler(step, request, running_context())
    try:
        with bound(Slot(ctx)):
            first = await anext(pieces, _END)
    except BaseException:
        await pieces.aclose()
        raise
    headers = {}
    if "text/event-stream" in request.headers.get("accept", ""):
        headers["Content-Type"] = "text/event-stream"
    segments = Segments(engine, step, ctx.trace_id, pieces)
    return {"status": 200, "headers": headers, "body": segments.after(first)}


class Segments:
    """The pieces of a generator handler, each of which commits before it is handed on."""

    def __init__(
        self, engine: Engine, step: Step, trace_id: str, pieces: AsyncGenerator[Any, None]
    ) -> None:
        self._engine = engine
        self._step = step
        self._trace_id = trace_id
        self._pieces = pieces

    async def after(self, first: Any) -> AsyncGenerator[Any, None]:
        """Go on from the first piece, which has committed."""
        async with aclosing(self._pieces):
            piece = first
            while piece is not _END:
                yield piece
                piece = await self._next()

    async def _next(self) -> Any:
        runs = 0

        async def advance(ctx: Context) -> Any:
            nonlocal runs
            runs += 1
            if runs > 1:
                raise CannotRunAgain("a value that the stream read was changed meanwhile")
            with bound(Slot(ctx)):
                return await anext(self._pieces, _END)

        invocation = new_invocation(self._step.config, self._trace_id, can_rerun=False)
        return await self._engine.invoke(self._step, invocation, call=advance)
