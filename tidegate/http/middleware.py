"""What a middleware of an api step is: `async mw(request, ctx, proceed)`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tidegate.contract import Context, Step
from tidegate.errors import Misconfigured
from tidegate.http.request import Request

Next = Callable[[], Awaitable[Any]]
Middleware = Callable[[Request, Context, Next], Awaitable[Any]]


class OnHead:
    """A middleware that needs no body: it runs before the body is read, and can refuse it."""

    def __init__(self, middleware: Middleware) -> None:
        self._middleware = middleware

    def __call__(self, request: Request, ctx: Context, proceed: Next) -> Awaitable[Any]:
        """Run the middleware."""
        return self._middleware(request, ctx, proceed)


class PerStep(OnHead):
    """A middleware that depends on the step which names it: `make` is called once for each."""

    def __init__(self, middleware: Middleware, make: Callable[[Step], Middleware]) -> None:
        super().__init__(middleware)
        self.make = make


def for_step(middleware: Middleware, step: Step) -> Middleware:
    """Return a named middleware as the step gets it."""
    return middleware.make(step) if isinstance(middleware, PerStep) else middleware


def middlewares_of(step: Step, known: Mapping[str, Middleware]) -> list[Middleware]:
    """Return a step's middlewares; a name is looked up beside the step, then among the known.

    Raises:
        Misconfigured: nobody provides one of the names.
    """
    return [_resolve(step, item, known) for item in step.config.middleware]


def _resolve(step: Step, item: object, known: Mapping[str, Middleware]) -> Middleware:
    if callable(item):
        return item
    given = step.given.get(item) if isinstance(item, str) else None
    if callable(given):
        return given
    if isinstance(item, str) and item in known:
        return for_step(known[item], step)
    raise Misconfigured(f"{step.file}: unknown middleware '{item}'; known are: {', '.join(known)}")


async def through(rest: Sequence[Middleware], request: Request, ctx: Context, last: Next) -> Any:
    """Run middlewares one inside the other, around `last`."""
    if not rest:
        return await last()
    return await rest[0](request, ctx, lambda: through(rest[1:], request, ctx, last))
