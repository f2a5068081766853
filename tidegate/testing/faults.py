"""Faults that a test injects: handlers that fail or are slow, events twice or in another order."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import wraps
from random import Random
from typing import Any

import anyio
import msgspec
from anyio import from_thread

from tidegate.contract import Step
from tidegate.engine.context import InvocationContext
from tidegate.engine.process.pool import ProcessPool
from tidegate.errors import Misconfigured


class Injected(Exception):
    """The failure of a handler that a test asked for."""


class _Of(msgspec.Struct):
    """What is to go wrong with one step."""

    failures: list[Exception] = []
    failures_after: list[Exception] = []
    slow_s: float = 0.0
    duplicates: int = 0


class Faults:
    """What is to go wrong, by step; `Harness.faults`."""

    def __init__(self, steps: list[str]) -> None:
        self._of = {name: _Of() for name in steps}
        self.order: Random | None = None

    def fail(
        self,
        step: str,
        *,
        times: int = 1,
        error: Exception | None = None,
        after: bool = False,
    ) -> None:
        """Let the next runs of a step fail, before its handler runs or after it has.

        Either way nothing of such a run is committed.
        """
        of = self._step(step)
        (of.failures_after if after else of.failures).extend(
            [error or Injected("injected")] * times
        )

    def slow(self, step: str, seconds: float) -> None:
        """Let every run of a step take so much longer: real seconds, for its timeout to see."""
        self._step(step).slow_s = seconds

    def duplicate(self, step: str, *, times: int = 1) -> None:
        """Run the next events of a step twice at once, as two workers do after a lost lease."""
        self._step(step).duplicates += times

    def reorder(self, seed: int = 0) -> None:
        """Handle what is due in any order from now on; lanes keep theirs."""
        self.order = Random(seed)  # noqa: S311 - a test's dice

    def takes_duplicate(self, step: str) -> bool:
        """Tell whether the event that is handled now is to be run twice."""
        of = self._of.get(step)
        if of is None or not of.duplicates:
            return False
        of.duplicates -= 1
        return True

    def around(self, step: Step) -> Step:
        """Return the step with a handler that these faults reach."""
        of = self._of[step.config.name]
        if inspect.isasyncgenfunction(step.handler):
            handler = _around_pieces(step, of)
        else:
            handler = _around_async(step, of) if step.is_async else _around_plain(step, of)
        return msgspec.structs.replace(step, handler=handler)

    def of(self, step: str) -> _Of:
        """Return what is to go wrong with a step."""
        return self._of[step]

    def _step(self, name: str) -> _Of:
        if name not in self._of:
            raise Misconfigured(f"no step '{name}'; there are: {', '.join(sorted(self._of))}")
        return self._of[name]


class FaultyProcesses(ProcessPool):
    """Runs handlers in processes, which load their own: the faults act here, around the call."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def call(self, step: Step, data: Any, ctx: InvocationContext) -> Any:
        """Run a step's handler as its faults let it."""
        of = self._faults.of(step.config.name)
        if of.slow_s:
            await anyio.sleep(of.slow_s)
        _raise_next(of.failures)
        result = await super().call(step, data, ctx)
        _raise_next(of.failures_after)
        return result


def _around_async(step: Step, of: _Of) -> Callable[..., Any]:
    @wraps(step.handler)
    async def handler(*args: Any, **resources: Any) -> Any:
        if of.slow_s:
            await anyio.sleep(of.slow_s)
        _raise_next(of.failures)
        result = await step.handler(*args, **resources)
        _raise_next(of.failures_after)
        return result

    return handler


def _around_pieces(step: Step, of: _Of) -> Callable[..., Any]:
    @wraps(step.handler)
    async def handler(*args: Any, **resources: Any) -> AsyncIterator[Any]:
        if of.slow_s:
            await anyio.sleep(of.slow_s)
        _raise_next(of.failures)
        async with aclosing(step.handler(*args, **resources)) as pieces:
            async for piece in pieces:
                yield piece
        _raise_next(of.failures_after)

    return handler


def _around_plain(step: Step, of: _Of) -> Callable[..., Any]:
    @wraps(step.handler)
    def handler(*args: Any, **resources: Any) -> Any:
        if of.slow_s:
            from_thread.run(anyio.sleep, of.slow_s)
        _raise_next(of.failures)
        result = step.handler(*args, **resources)
        _raise_next(of.failures_after)
        return result

    return handler


def _raise_next(failures: list[Exception]) -> None:
    if failures:
        raise failures.pop(0)
