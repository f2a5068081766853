"""What a middleware of an api step is: `async mw(request, ctx, proceed)`."""

from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.contract import Context, Step
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
