"""The child's side: load the step once, run its handler, ask the parent for `ctx`."""

import asyncio
import ctypes
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from tidegate.contract import Step
from tidegate.definition.discovery import load
from tidegate.engine.process.errors import from_plain, to_plain
from tidegate.engine.process.frames import HEADER_BYTES, Frame, length_of, pack, unpack
from tidegate.engine.process.request import SentRecord, SentRequest
from tidegate.engine.schemas import Checker
from tidegate.errors import NonRetriable

_PR_SET_PDEATHSIG = 1


class Halted(BaseException):
    """The parent has suspended the invocation: the handler's run ends here."""


class Pipe:
    """Frames over two blocking files."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, frame: Frame) -> None:
        """Send a frame."""
        self._writer.write(pack(frame))
        self._writer.flush()

    def receive(self) -> Frame | None:
        """Return the next frame, None when the parent is gone."""
        header = self._reader.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return None
        return unpack(self._reader.read(length_of(header)))

    def ask(self, *path: str, args: tuple[Any, ...] = (), **named: Any) -> Any:
        """Ask the parent to call something of `ctx`, and return what it returned."""
        self.send({"ask": list(path), "args": list(args), "named": named})
        answer = self.receive()
        if answer is None or "halt" in answer:
            raise Halted
        if "error" in answer:
            raise from_plain(answer["error"])
        return answer["value"]


class Part:
    """A part of `ctx` whose methods run in the parent: `ctx.state`, one of `ctx.streams`."""

    def __init__(self, pipe: Pipe, *path: str) -> None:
        self._pipe = pipe
        self._path = path

    def __getitem__(self, name: str) -> "Part":
        """Return a stream."""
        return Part(self._pipe, *self._path, name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method."""

        async def call(*args: Any, **named: Any) -> Any:
            return self._pipe.ask(*self._path, name, args=args, **named)

        return call

    async def update(self, group: str, key: str, fn: Callable[[Any], Any]) -> Any:
        """Set the value to `fn(value)` and return it; the function runs here."""
        value = fn(await self.get(group, key))
        await self.set(group, key, value)
        return value


class RemoteLogger:
    """`ctx.logger`: events go to the parent's log."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def __getattr__(self, level: str) -> Callable[..., None]:
        """Return the method of a level."""

        def log(event: str, details: Mapping[str, Any] | None = None, **fields: Any) -> None:
            plain = {key: str(value) for key, value in {**(details or {}), **fields}.items()}
            self._pipe.ask("logger", level, args=(event, plain))

        return log


class ChildContext:
    """See `tidegate.contract.Context`; every call waits for the parent."""

    def __init__(self, pipe: Pipe, about: Frame) -> None:
        self._pipe = pipe
        self.state = Part(pipe, "state")
        self.streams = Part(pipe, "streams")
        self.logger = RemoteLogger(pipe)
        self.trace_id: str = about["trace_id"]
        self.attempt: int = about["attempt"]
        self.idempotency_key: str = about["idempotency_key"]

    @property
    def sync(self) -> "BlockingContext":
        """The same calls, blocking."""
        return BlockingContext(self)

    async def emit(self, topic: str | dict[str, Any], data: Any = None, **named: Any) -> None:
        """Emit an event when this invocation commits."""
        self._pipe.ask("emit", args=(topic, data), **named)

    async def run(self, name: str, fn: Callable[[], Any]) -> Any:
        """Run a side effect once, here; a retry gets the recorded result."""
        recorded = self._pipe.ask("recorded", args=(name,))
        if recorded is not None:
            return recorded[0]
        result = fn()
        if inspect.isawaitable(result):
            result = await result
        return self._pipe.ask("run", args=(name, result))

    async def sleep(self, seconds: float) -> None:
        """Wait durably."""
        self._pipe.ask("sleep", args=(seconds,))

    async def wait_for(self, topic: str, match: Any = None, **named: Any) -> Any:
        """Wait durably for an event of a topic."""
        return self._pipe.ask("wait_for", args=(topic, match), **named)

    def now(self) -> datetime:
        """Return the runtime's clock, aware UTC."""
        now: datetime = self._pipe.ask("now")
        return now


class BlockingContext:
    """`ctx.sync` of a plain handler: nothing here waits but for the parent's answer."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getitem__(self, name: str) -> Any:
        """Return a stream."""
        return BlockingContext(self._wrapped[name])

    def __getattr__(self, name: str) -> Any:
        """Return a method, callable without `await`."""
        found = getattr(self._wrapped, name)
        if not inspect.iscoroutinefunction(found):
            return BlockingContext(found) if isinstance(found, Part) else found

        def call(*args: Any, **named: Any) -> Any:
            coroutine = found(*args, **named)
            try:
                coroutine.send(None)
            except StopIteration as ended:
                return ended.value
            raise RuntimeError("ctx.sync cannot await what is not of ctx")

        return call


def _end_with(parent_pid: int) -> None:
    """Let this process be killed when its parent dies, also amid a long computation.

    Only Linux can; elsewhere it ends when it next reads from the closed pipe.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            sys.exit()  # The parent was killed before we could ask to be told.


def main() -> None:
    """Run handlers as they are asked for, until the parent is gone."""
    _end_with(int(sys.argv[1]))
    pipe = Pipe(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    # What a handler prints must not come between the frames.
    os.dup2(2, 1)
    steps: dict[str, Step] = {}
    own = os.getpid()
    while (call := pipe.receive()) is not None:
        try:
            file = call["file"]
            step = steps[file] if file in steps else steps.setdefault(file, load(Path(file)))
            value = _run(step, call["input"], ChildContext(pipe, call))
            end = {"value": value, "is_tuple": isinstance(value, tuple)}
        except Halted:
            end = {"halted": True}
        except Exception as exc:  # noqa: BLE001 - a handler is foreign code: the parent decides
            end = {"error": to_plain(exc)}
        if os.getpid() != own:
            # The handler has forked, and this is the copy: the pipe is not its own, and a second
            # answer would be taken for that of the next call.
            os._exit(0)
        _send_end(pipe, end)


def _send_end(pipe: Pipe, end: Frame) -> None:
    """Tell how the run has ended; what it returned may be nothing that can be sent."""
    try:
        pipe.send(end)
    except NonRetriable as exc:
        pipe.send({"error": to_plain(exc)})


def _run(step: Step, data: Any, ctx: ChildContext) -> Any:
    only_ctx = step.takes == 1 and step.config.type == "cron"
    arguments = (ctx,) if only_ctx else (_typed(step, data), ctx)[: step.takes]
    result = step.handler(*arguments)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _typed(step: Step, data: Any) -> Any:
    """Return the data as the step's `input` declares it; the parent has checked that it fits."""
    if step.config.type == "api":
        return _typed_request(step, SentRequest(data))
    if step.config.input is None or isinstance(step.config.input, dict):
        return data
    check = Checker(step.config.input).check
    return check(data) if step.config.batch is None else [check(one) for one in data]


def _typed_request(step: Step, request: SentRequest) -> SentRequest:
    """Return the request with user and tenant as records, its body as `body_schema` says."""
    for name in ("user", "tenant"):
        if isinstance(request.get(name), dict):
            request[name] = SentRecord(request[name])
    schema = step.config.body_schema
    if schema is not None and not isinstance(schema, dict):
        request["body"] = Checker(schema).check(request["body"])
    return request


if __name__ == "__main__":
    main()
