"""One WebSocket step: the handshake, the handler, its callbacks, each an invocation.

The connection is accepted after the handler's first segment has committed, so a middleware, or
the handler itself, refuses it with a status. The messages of one connection are handled in
their order, one at a time.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.abc
import structlog
from prometheus_client import Counter, Gauge

from tidegate.contract import Context, Step
from tidegate.engine.engine import Engine
from tidegate.errors import Conflict, StoreAway
from tidegate.http.answer import Answer, to_answer
from tidegate.http.course import Course
from tidegate.http.dispatch import PathParams
from tidegate.http.invocations import new_invocation
from tidegate.http.limits import Limits
from tidegate.http.line import Line
from tidegate.http.middleware import Middleware, middlewares_of, through
from tidegate.http.problem import refusal
from tidegate.http.query import QueryConverter
from tidegate.http.refusals import problem_of
from tidegate.http.request import Request, query_lists
from tidegate.http.running import CannotRunAgain, Slot, bound, running_context
from tidegate.http.source import Receive, Scope, Send, Source
from tidegate.http.tracing import trace_id_of
from tidegate.http.websocket import Outbox, WebSocket

_ACCEPTED = 101
_DONE, _BROKEN, _TRY_AGAIN_LATER = 1000, 1011, 1013

_open = Gauge("tidegate_websockets_open", "Open connections of WebSocket steps", ["step"])
_handshakes = Counter(
    "tidegate_websocket_handshakes_total", "Handshakes by status", ["step", "status"]
)
_messages = Counter(
    "tidegate_websocket_messages_total", "Messages that came, by outcome", ["step", "outcome"]
)
log = structlog.get_logger()

Call = Callable[[Context], Awaitable[Outbox]]


class SocketEndpoint:
    """One WebSocket step: what is the same for all of its connections."""

    def __init__(
        self, engine: Engine, step: Step, known: Mapping[str, Middleware], *, limits: Limits
    ) -> None:
        self.engine = engine
        self.step = step
        self.middleware = middlewares_of(step, known)
        self.query = QueryConverter(step.config.query_params)
        self.limits = limits

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, path_params: PathParams
    ) -> None:
        """Serve one connection from its handshake to its end."""
        name = self.step.config.name
        await receive()
        line = Line(name, send, limits=self.limits)
        socket = WebSocket(line, self.limits.message_bytes)
        source = Source(scope, receive, path_params, self.limits, ws=socket)
        async with anyio.create_task_group() as tasks:
            connection = _Connection(self, source, socket, line, tasks)
            refusal = await connection.open()
            _handshakes.labels(name, refusal.status if refusal else _ACCEPTED).inc()
            if refusal is not None:
                await refuse_handshake(refusal, send)
            else:
                await send({"type": "websocket.accept"})
                tasks.start_soon(line.pump)
                with _open.labels(name).track_inprogress():
                    await connection.serve(receive)
            tasks.cancel_scope.cancel()


class _Connection:
    """One connection: its handler's course, and what comes and leaves."""

    def __init__(
        self,
        endpoint: SocketEndpoint,
        source: Source,
        socket: WebSocket,
        line: Line,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._endpoint = endpoint
        self._source = source
        self._socket = socket
        self._line = line
        self._tasks = tasks
        self._course = Course()
        self._reached = False
        self._trace_id = trace_id_of(source)
        self._first = self._outbox()

    async def open(self) -> Answer | None:
        """Run the handler's first segment; return the refusal of the handshake, else None."""
        try:
            self._first = await self._invoke(self._from_top)
            refused = not self._reached
            answer = to_answer(self._course.returned) if refused else None
        except Exception as exc:
            await self._course.end()
            expected = problem_of(exc, self._source)
            if expected is None:
                log.exception("websocket.failed", step=self._endpoint.step.config.name)
            return expected or refusal(500)
        return answer if isinstance(answer, Answer) or answer is None else refusal(answer.status)

    async def serve(self, receive: Receive) -> None:
        """Handle messages until the connection ends, then tell the step."""
        self._first.leave()
        self._close_when_idle()
        code, reason = await self._handle_messages(receive)
        await self._guarded(self._finish_course)
        closed = self._socket.callbacks.get("close")
        if closed is not None:
            await self._guarded(lambda: self._call_back(closed, code, reason))
        await self._course.end()

    async def _handle_messages(self, receive: Receive) -> tuple[int, str]:
        """Return code and reason of the connection's end."""
        name = self._endpoint.step.config.name
        while True:
            await self._line.room()
            message = await receive()
            if message["type"] != "websocket.receive":
                return message.get("code") or 1005, message.get("reason") or ""
            text = message.get("text")
            data = text if text is not None else message.get("bytes")
            handled = await self._guarded(lambda data=data: self._handle(data))  # type: ignore[misc]  # bound now
            _messages.labels(name, "handled" if handled else "failed").inc()

    async def _handle(self, message: str | bytes) -> None:
        on_message = self._socket.callbacks.get("message")
        if not self._course.is_over:
            await self._go_on(message)
        elif on_message is not None:
            await self._call_back(on_message, message)
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        """Close a connection whose handler has ended without asking for anything more."""
        if self._course.is_over and not self._socket.callbacks:
            self._line.close(_DONE)

    async def _finish_course(self) -> None:
        if not self._course.is_over:
            await self._go_on(None)

    async def _go_on(self, message: str | bytes | None) -> None:
        """Run the handler's next segment; it cannot run a second time."""
        runs = 0

        async def segment(ctx: Context) -> Outbox:
            nonlocal runs
            runs += 1
            if runs > 1:
                raise CannotRunAgain("a value that the handler read was changed meanwhile")
            outbox = self._outbox()
            self._course.resume(message)
            await self._course.segment(ctx, outbox)
            return outbox

        (await self._invoke(segment, can_rerun=False)).leave()

    async def _call_back(self, fn: Callable[..., Any], *given: Any) -> None:
        """Run a callback as an invocation; on a conflict it runs again."""
        arguments = given[: _takes(fn, len(given))]

        async def call(ctx: Context) -> Outbox:
            outbox = self._outbox()
            with bound(Slot(ctx, outbox)):
                result = fn(*arguments)
                if inspect.isawaitable(result):
                    await result
            return outbox

        (await self._invoke(call)).leave()

    async def _from_top(self, ctx: Context) -> Outbox:
        """Run the handler from its top, with the request as it came."""
        await self._restart()
        outbox = self._outbox()
        request = Request.of(self._source)
        self._tasks.start_soon(self._course.run, lambda: self._through(request))
        await self._course.segment(ctx, outbox)
        return outbox

    def _outbox(self) -> Outbox:
        return Outbox(self._endpoint.limits.message_bytes)

    async def _restart(self) -> None:
        if self._reached or self._course.is_over:
            await self._course.end()
        self._course = Course()
        self._reached = False
        self._socket.start_over(self._course)

    async def _through(self, request: Request) -> Any:
        endpoint = self._endpoint
        ctx = running_context()

        async def handle() -> Any:
            if endpoint.query.converts:
                lists = query_lists(request)
                request.query_params = endpoint.query.convert(request.query_params, lists)
            self._reached = True
            return await endpoint.engine.call_handler(endpoint.step, request, ctx)

        return await through(endpoint.middleware, request, ctx, handle)

    async def _invoke(self, call: Call, *, can_rerun: bool = True) -> Outbox:
        endpoint = self._endpoint
        config = endpoint.step.config
        invocation = new_invocation(config, self._trace_id, can_rerun=can_rerun)
        with anyio.fail_after(config.timeout):
            outbox: Outbox = await endpoint.engine.invoke(endpoint.step, invocation, call=call)
        return outbox

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> bool:
        """Run a part of the step; an error closes the connection. False when there was one."""
        try:
            await run()
        except (StoreAway, Conflict, CannotRunAgain) as exc:
            log.warning("websocket.put_off", step=self._endpoint.step.config.name, reason=str(exc))
            await self._break_off(_TRY_AGAIN_LATER)
        except Exception:
            # The client gets neither text nor stack: they may hold what is not his.
            log.exception("websocket.failed", step=self._endpoint.step.config.name)
            await self._break_off(_BROKEN)
        else:
            return True
        return False

    async def _break_off(self, code: int) -> None:
        self._line.close(code)
        await self._course.end()


def _takes(fn: Callable[..., Any], most: int) -> int:
    """Return how many of the given arguments a callback takes."""
    kinds = [parameter.kind for parameter in inspect.signature(fn).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return most
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(most, sum(kind in positional for kind in kinds))


async def refuse_handshake(answer: Answer, send: Send) -> None:
    """Answer a handshake with a status instead of a connection."""
    start = {"type": "websocket.http.response.start", "status": answer.status}
    await send({**start, "headers": answer.headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
