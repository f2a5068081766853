"""A store whose process can die between any two operations."""

import inspect
from typing import Any

from tidegate.store.port import Store


class Crash(BaseException):
    """The process is dead: nothing that runs in it goes on."""


class MortalStore:
    """A store whose process can be told to die before its n-th operation from now on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left: int | None = None
        self.has_crashed = False

    def crash_at(self, operation: int | None) -> None:
        """Die before the n-th operation, counted from 1; None: live on."""
        self._left = operation

    def __getattr__(self, name: str) -> Any:
        """Return an operation that first looks whether it is time to die."""
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def operation(*args: Any, **named: Any) -> Any:
            self._count()
            return await found(*args, **named)

        return operation

    def _count(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            self.has_crashed = True
            raise Crash
