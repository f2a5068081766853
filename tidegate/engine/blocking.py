"""`ctx.sync`: the calls of a context, blocking, for handlers that are plain functions."""

import inspect
from functools import wraps
from typing import Any

from anyio import from_thread

# They are plain functions that return something to await.
_NOTED = ("emit", "set", "delete")


class Blocking:
    """Wraps an object of the event loop: its coroutine functions block a worker's thread."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        """Return an attribute, callable without `await`."""
        found = getattr(self._wrapped, name)
        if inspect.iscoroutinefunction(found) or name in _NOTED:

            @wraps(found)
            def call(*args: Any, **kwargs: Any) -> Any:
                async def on_the_loop() -> Any:
                    return await found(*args, **kwargs)

                return from_thread.run(on_the_loop)

            return call
        return Blocking(found) if name in ("state", "streams") else found

    def __getitem__(self, name: str) -> Any:
        """Return a stream, its calls blocking."""
        return Blocking(self._wrapped[name])
