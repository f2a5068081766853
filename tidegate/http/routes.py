"""Api steps as Starlette routes: a request becomes one invocation, its answer leaves after it."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import structlog
from prometheus_client import Counter
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from tidegate.contract import Context, Step
from tidegate.engine.context import Invocation
from tidegate.engine.engine import Engine, new_trace_id
from tidegate.engine.journal import MemoryJournal
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import Conflict, HTTPError, Misconfigured, StoreAway
from tidegate.http.answer import to_response
from tidegate.http.middleware import Middleware, OnHead, for_step
from tidegate.http.problem import problem
from tidegate.http.query import QueryConverter
from tidegate.http.request import Body, Request, read_head

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_answers = Counter("tidegate_http_answers_total", "Answers of api steps", ["step", "status"])
log = structlog.get_logger()


def routes(engine: Engine, middleware: Mapping[str, Middleware]) -> list[Route]:
    """Return a route for every api step; exact paths come before those with parameters.

    Raises:
        Misconfigured: a step names a middleware that nobody provides.
    """
    steps = [step for step in engine.steps.values() if step.config.type == "api"]
    by_path: dict[str, list[Step]] = {}
    for step in steps:
        by_path.setdefault(_starlette_path(step.config.path), []).append(step)
    paths = sorted(by_path, key=lambda path: [("{" in part, part) for part in path.split("/")])
    return [_route(engine, path, by_path[path], middleware) for path in paths]


def _route(
    engine: Engine, path: str, steps: list[Step], middleware: Mapping[str, Middleware]
) -> Route:
    """Serve all methods of one path, so that another method is 405 with `Allow`."""
    endpoints = {step.config.method.upper(): _Endpoint(engine, step, middleware) for step in steps}

    async def endpoint(source: StarletteRequest) -> Response:
        method = "GET" if source.method == "HEAD" and "HEAD" not in endpoints else source.method
        return await endpoints[method].answer(source)

    return Route(path, endpoint, methods=list(endpoints))


def _starlette_path(path: str) -> str:
    """Turn `/cart/:id/*` into `/cart/{id}/{splat:path}`."""
    named = re.sub(r":(\w+)", r"{\1}", path)
    return re.sub(r"\*$", "{splat:path}", named)


class _Endpoint:
    """One api step: its checks, its middleware around the handler, its answer."""

    def __init__(self, engine: Engine, step: Step, known: Mapping[str, Middleware]) -> None:
        self._engine = engine
        self._step = step
        self._body = Checker(step.config.body_schema)
        self._query = QueryConverter(step.config.query_params)
        self._middleware = [_resolve(step, item, known) for item in step.config.middleware]

    async def answer(self, source: StarletteRequest) -> Response:
        """Answer a request and count the answer: refusals are seen by their status."""
        response = await self._answer(source)
        _answers.labels(self._step.config.name, response.status_code).inc()
        return response

    async def _answer(self, source: StarletteRequest) -> Response:
        """Run the step. The one supervisor of foreign handlers' errors over HTTP."""
        try:
            with anyio.fail_after(self._step.config.timeout):
                return to_response(await self._invoke(read_head(source), Body(source)))
        except Exception as exc:
            expected = _expected_problem(exc)
            if expected is None:
                # The caller gets neither text nor stack: they may hold what is not his.
                log.exception("api.failed", step=self._step.config.name)
            return expected or problem(500)

    async def _invoke(self, head: Request, body: Body) -> Any:
        trace_id = _trace_id(head)
        key = f"{self._step.config.name}-{secrets.token_hex(8)}"
        invocation = Invocation(self._step.config, trace_id, 1, key, MemoryJournal())

        async def run(ctx: Context) -> Any:
            # A copy: a run that is repeated must not see what the one before it changed.
            return await self._through(Request(head), body, ctx, self._middleware)

        return await self._engine.invoke(self._step, invocation, call=run)

    async def _through(
        self, request: Request, body: Body, ctx: Context, rest: Sequence[Middleware]
    ) -> Any:
        if rest and isinstance(rest[0], OnHead):
            return await rest[0](request, ctx, lambda: self._through(request, body, ctx, rest[1:]))
        await body.fill(request)
        if rest:
            return await rest[0](request, ctx, lambda: self._through(request, body, ctx, rest[1:]))
        if self._step.config.body_schema is not None:
            request.body = self._body.check(request.body)
        request.query_params = self._query.convert(request.query_params)
        return await self._engine.call_handler(self._step, request, ctx)


def _resolve(step: Step, item: object, known: Mapping[str, Middleware]) -> Middleware:
    if callable(item):
        return item
    if isinstance(item, str) and item in known:
        return for_step(known[item], step)
    raise Misconfigured(f"{step.file}: unknown middleware '{item}'; known are: {', '.join(known)}")


def _trace_id(request: Request) -> str:
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return match[1] if match else new_trace_id()


def _expected_problem(exc: Exception) -> Response | None:
    """Return the answer to an error that is no bug, else None."""
    if isinstance(exc, InvalidData):
        return problem(422, "the request does not fit", errors=[f._asdict() for f in exc.flaws])
    if isinstance(exc, HTTPError):
        again = {"Retry-After": str(exc.retry_after_s)} if exc.status in (429, 503) else {}
        return problem(exc.status, exc.detail, headers=again)
    if isinstance(exc, (StoreAway, Conflict)):
        return problem(503, str(exc), headers={"Retry-After": "1"})
    if isinstance(exc, TimeoutError):
        return problem(503, "the handler took too long", headers={"Retry-After": "1"})
    return problem(400, "the body ended early") if isinstance(exc, ClientDisconnect) else None
