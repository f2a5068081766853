"""The middlewares of the steps that take telemetry: who may how often, and who answers how.

None of them needs the body: what they refuse is refused before it is read.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import anyio

from cloud.ingest.http.bodies import check_size
from cloud.ingest.http.callers import password_of
from cloud.ingest.http.influx_answers import AnswerTo, refused_v1, refused_v2
from cloud.ingest.http.rates import Rates
from cloud.ingest.metrics import Metrics
from cloud.settings import IngestHttp
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.middleware import Middleware, Next, OnHead
from tidegate.http.request import Request


def ingest_middlewares(
    settings: IngestHttp,
    metrics: Metrics,
    *,
    now_s: Callable[[], float] = anyio.current_time,
) -> Mapping[str, Middleware]:
    """Return the middlewares by the names that ingestion's steps use."""
    addresses = Rates(settings.per_address_per_s, settings.per_address_burst)
    tokens = Rates(settings.per_token_per_s, settings.per_token_burst)

    def admit(rates: Rates, key: str, by: str) -> None:
        wait_s = rates.wait_s(key, now_s())
        if wait_s:
            metrics.refused_rate.labels(by).inc()
            raise _too_often(by, wait_s)

    async def address(request: Request, _ctx: Context, proceed: Next) -> Any:
        admit(addresses, request.client, "address")
        check_size(request.headers)
        return await proceed()

    async def token(request: Request, _ctx: Context, proceed: Next) -> Any:
        if request.user["kind"] == "device":
            admit(tokens, request.user["userId"], "token")
        return await proceed()

    return {
        "addressLimitMiddleware": OnHead(address),
        "tokenLimitMiddleware": OnHead(token),
        "passwordIsTokenMiddleware": OnHead(_password_is_token),
        "influxMiddleware": OnHead(_as_influx(refused_v1)),
        "influxPasswordMiddleware": OnHead(_query_password_is_token),
        "influxV2Middleware": OnHead(_as_influx(refused_v2)),
    }


async def _password_is_token(request: Request, _ctx: Context, proceed: Next) -> Any:
    """Take the password of Basic authentication for a token; the user's name says nothing."""
    _bear(request, password_of(request.headers.get("authorization", "")))
    return await proceed()


async def _query_password_is_token(request: Request, _ctx: Context, proceed: Next) -> Any:
    """Take `?p=` for a token where no header brings one, as InfluxDB 1.x does."""
    if "authorization" not in request.headers:
        _bear(request, request.query_params.get("p", ""))
    return await proceed()


def _bear(request: Request, token: str) -> None:
    if token:
        request.headers = {**request.headers, "authorization": f"Bearer {token}"}


def _as_influx(answer_to: AnswerTo) -> Middleware:
    """Return a middleware that tells refusals as InfluxDB would."""

    async def told(_request: Request, _ctx: Context, proceed: Next) -> Any:
        try:
            return await proceed()
        except HTTPError as exc:
            return answer_to(exc)

    return told


def _too_often(by: str, wait_s: float) -> HTTPError:
    refused = HTTPError(429, f"too many requests with one {by}: send more readings in each")
    refused.retry_after_s = max(1, ceil(wait_s))
    return refused
