"""One api step over HTTP: a request becomes one invocation, its answer leaves after its commit."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import Counter

from tidegate.contract import Context, Step
from tidegate.engine.engine import Engine
from tidegate.engine.schemas import Checker, Flaw, InvalidData
from tidegate.http.answer import Answer, Delegated, Streamed, to_answer
from tidegate.http.checking import AnswerChecks
from tidegate.http.dispatch import PathParams
from tidegate.http.generating import first_segment, is_generator
from tidegate.http.invocations import new_invocation
from tidegate.http.limits import Limits
from tidegate.http.middleware import Middleware, OnHead, middlewares_of
from tidegate.http.problem import refusal
from tidegate.http.query import QueryConverter
from tidegate.http.refusals import problem_of
from tidegate.http.request import Request, query_lists
from tidegate.http.source import BODY_IS_HERE, Receive, Scope, Send, Source
from tidegate.http.streaming import in_time, send_file, send_stream
from tidegate.http.tracing import trace_id_of

_answers = Counter("tidegate_http_answers_total", "Answers of api steps", ["step", "status"])
log = structlog.get_logger()


class Endpoint:
    """One api step: its checks, its middleware around the handler, its answer."""

    def __init__(
        self,
        engine: Engine,
        step: Step,
        known: Mapping[str, Middleware],
        *,
        check_answers: bool,
        limits: Limits,
    ) -> None:
        self.step = step
        self._limits = limits
        self._engine = engine
        self._body = None if step.config.body_schema is None else Checker(step.config.body_schema)
        self._query = QueryConverter(step.config.query_params)
        self._checks = AnswerChecks(step.config.response_schema) if check_answers else None
        self._middleware = middlewares_of(step, known)
        self._reads_late = any(isinstance(item, OnHead) for item in self._middleware)
        self._yields = is_generator(step)
        self._counts: dict[int, Any] = {}

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, path_params: PathParams
    ) -> None:
        """Answer a request and count the answer: refusals are seen by their status."""
        source = Source(scope, receive, path_params, self._limits)
        answer = await self._answer(source)
        count = self._counts.get(answer.status)
        if count is None:
            count = _answers.labels(self.step.config.name, answer.status)
            self._counts[answer.status] = count
        count.inc()
        if isinstance(answer, Streamed):
            timed = in_time(send, self._limits.send_timeout_s)
            await send_stream(answer, self.step.config.name, receive, timed)
        elif isinstance(answer, Delegated):
            timed = in_time(send, self._limits.send_timeout_s)
            await send_file(answer, self.step.config.name, scope, receive, timed)
        else:
            await answer.send(scope, receive, send)

    async def _answer(self, source: Source) -> Answer | Delegated | Streamed:
        """Run the step. The one supervisor of foreign handlers' errors over HTTP."""
        timeout_s = self.step.config.timeout
        waits = not (self._reads_late or BODY_IS_HERE in source.scope)
        first_s = self._limits.body_timeout_s if waits else timeout_s
        try:
            # Not anyio's: that costs three times as much, a tenth of a small handler's call.
            async with asyncio.timeout(first_s) as limit:
                if not self._reads_late:
                    await source.read()
                if waits:
                    limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
                return await self._invoke(source)
        except Exception as exc:
            expected = problem_of(exc, source)
            if expected is None:
                # The caller gets neither text nor stack: they may hold what is not his.
                log.exception("api.failed", step=self.step.config.name)
            return expected or refusal(500)

    async def _invoke(self, source: Source) -> Answer | Delegated | Streamed:
        invocation = new_invocation(self.step.config, trace_id_of(source))

        async def run(ctx: Context) -> Answer | Delegated | Streamed:
            # Each run gets the request anew: it must not see what the one before it changed.
            request = Request.of(source)
            answer = to_answer(await self._through(request, source, ctx, self._middleware))
            if self._checks is not None:
                self._checks.check(answer)
            return answer

        answer: Answer | Delegated | Streamed
        answer = await self._engine.invoke(self.step, invocation, call=run)
        return answer

    async def _through(
        self, request: Request, source: Source, ctx: Context, rest: Sequence[Middleware]
    ) -> Any:
        if rest and isinstance(rest[0], OnHead):
            return await rest[0](
                request, ctx, lambda: self._through(request, source, ctx, rest[1:])
            )
        if not source.is_read:
            await source.read_in_time()
        if rest:
            return await rest[0](
                request, ctx, lambda: self._through(request, source, ctx, rest[1:])
            )
        if self._body is not None:
            body = request.body
            if body is None and not source.raw_body:
                raise InvalidData([Flaw("", "a body is due")])
            request.body = self._body.check(body)
        if self._query.converts:
            request.query_params = self._query.convert(request.query_params, query_lists(request))
        if self._yields:
            return await first_segment(self._engine, self.step, request, ctx)
        return await self._engine.call_handler(self.step, request, ctx)
