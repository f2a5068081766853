"""The parent's side: warm processes, each running one handler at a time."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

import anyio
import structlog
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tidegate.contract import Step
from tidegate.engine.context import InvocationContext
from tidegate.engine.journal import Suspended
from tidegate.engine.plain import as_plain
from tidegate.engine.process.errors import HandlerFailed, from_plain, to_plain
from tidegate.engine.process.frames import HEADER_BYTES, Frame, length_of, pack, unpack
from tidegate.engine.process.request import plain_parts
from tidegate.errors import NonRetriable, TidegateError

_CLOSE_TIMEOUT_S = 1.0
_DIED = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)
_ASKED = frozenset({"state", "streams", "logger", "emit", "sleep", "wait_for", "now"})

log = structlog.get_logger()


class ProcessPool:
    """Runs handlers in at most `size` processes, one for each of its `places`.

    A place is taken before a handler's time begins: who waits for one is not late.
    """

    def __init__(self, size: int | None = None) -> None:
        self.places = anyio.CapacityLimiter(size or max(1, (os.cpu_count() or 2) - 1))
        self._idle: list[_Child] = []

    async def call(self, step: Step, data: Any, ctx: InvocationContext) -> Any:
        """Run a step's handler and return what it returned; the caller holds a place.

        A run that is cancelled or times out costs its process; the next one starts another.

        Raises:
            HandlerFailed: it raised, or its process died.
        """
        child = self._idle.pop() if self._idle else await _Child.start()
        try:
            result = await child.call(step, data, ctx)
        except BaseException:
            if child.is_broken:
                await child.end()
            else:
                self._idle.append(child)
            raise
        self._idle.append(child)
        return result

    async def aclose(self) -> None:
        """End the idle processes; the busy ones end with their runs."""
        while self._idle:
            await self._idle.pop().end()


class _Child:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.is_broken = False
        if process.stdin is None or process.stdout is None:
            raise HandlerFailed("a handler's process has no pipes")
        self._to = process.stdin
        self._from = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def start(cls) -> "_Child":
        command = [sys.executable, "-m", "tidegate.engine.process.child", str(os.getpid())]
        # It must find what this process finds, however that was started.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            env=environment,
            start_new_session=True,
        )
        return cls(process)

    async def call(self, step: Step, data: Any, ctx: InvocationContext) -> Any:
        """Run a handler. Broken is this process until it is known to wait for the next call."""
        call = {
            "file": str(step.file),
            "input": as_plain(plain_parts(data) if step.config.type == "api" else data),
            "trace_id": ctx.trace_id,
            "attempt": ctx.attempt,
            "idempotency_key": ctx.idempotency_key,
        }
        self.is_broken = True
        try:
            await self._send(call)
            return await self._serve(ctx)
        except _DIED as exc:
            raise HandlerFailed("the handler's process died") from exc

    async def _serve(self, ctx: InvocationContext) -> Any:
        """Answer what the handler asks until it is done."""
        while "ask" in (frame := await self._receive()):
            try:
                value = await _answer(ctx, frame)
            except Suspended:
                await self._halt()
                raise
            except (TidegateError, TimeoutError) as exc:
                await self._send({"error": to_plain(exc)})
            else:
                await self._send({"value": value})
        self.is_broken = False
        if "error" in frame:
            raise from_plain(frame["error"])
        return tuple(frame["value"]) if frame.get("is_tuple") else frame["value"]

    async def _halt(self) -> None:
        """Break the handler off where it waits durably."""
        await self._send({"halt": True})
        self.is_broken = "halted" not in await self._receive()

    async def end(self) -> None:
        """End the process, whatever its handler does, with those that the handler has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await self._process.aclose()

    async def _send(self, frame: Frame) -> None:
        await self._to.send(pack(frame))

    async def _receive(self) -> Frame:
        length = length_of(await self._from.receive_exactly(HEADER_BYTES))
        return unpack(await self._from.receive_exactly(length))


async def _answer(ctx: InvocationContext, frame: Frame) -> Any:
    """Do what a handler asks for with its `ctx`."""
    [first, *rest], args, named = frame["ask"], frame["args"], frame["named"]
    if first == "recorded":
        recorded = ctx.recorded(*args)
        return None if recorded is None else list(recorded)
    if first == "run":
        name, result = args
        return await ctx.run(name, lambda: result)
    if first not in _ASKED or any(name.startswith("_") for name in rest):
        raise NonRetriable(f"ctx has no '{first}' in a handler's own process")
    target: Any = getattr(ctx, first)
    if first == "streams":
        target = target[rest.pop(0)]
    for name in rest:
        target = getattr(target, name)
    answer = target(*args, **named)
    return await answer if hasattr(answer, "__await__") else answer
