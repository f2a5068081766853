"""What InfluxDB's clients expect to be answered: its statuses, bodies and headers."""

from collections.abc import Callable
from typing import Any

import msgspec

from cloud.ingest.http.answers import Accepted
from tidegate.errors import HTTPError
from wire.messages import Refusal

# Clients choose by it what they send: `/write` and `/api/v2/write` are what a 1.8 takes.
VERSION = "1.8.10-tidegate"
_VERSION_HEADERS = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "Tidegate"}
_REASONS_SHOWN = 5
_MAX_HEADER_CHARS = 1_000
_CODES_V2 = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    413: "request too large",
    415: "unsupported media type",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}
_UNAUTHORIZED, _TOO_OFTEN, _UNAVAILABLE = 401, 429, 503
_COME_AGAIN = (_TOO_OFTEN, _UNAVAILABLE)


class RefusedV1(msgspec.Struct, frozen=True):
    """What InfluxDB 1.x says when it refuses."""

    error: str


class RefusedV2(msgspec.Struct, frozen=True):
    """What InfluxDB 2.x says when it refuses."""

    code: str
    message: str


_REFUSED_V1 = (400, 401, 403, 413, 415, 503)
ANSWERS_V1: dict[int, Any] = {204: None, **dict.fromkeys(_REFUSED_V1, RefusedV1)}
ANSWERS_V2: dict[int, Any] = {204: None, **dict.fromkeys((*_REFUSED_V1, 429), RefusedV2)}
"""The answers to writes by their statuses, as a step declares them."""


def texts(*names: str) -> dict[str, Any]:
    """Return the schema of a query whose parameters are texts."""
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


AnswerTo = Callable[[HTTPError], dict[str, Any]]


def written(accepted: Accepted) -> dict[str, Any]:
    """Return 204; lines that were refused while others are stored are a 400.

    Raises:
        HTTPError: 400, with the reasons of the first of them.
    """
    rejected = accepted.rejected
    if not rejected:
        return {"status": 204, "headers": dict(_VERSION_HEADERS)}
    what = "partial write" if accepted.accepted else "nothing was written"
    raise HTTPError(400, f"{what}: {_reasons(rejected)} dropped={len(rejected)}")


def refused_v1(refused: HTTPError) -> dict[str, Any]:
    """Return an error as InfluxDB 1.x tells it: `{"error"}`, and the same in a header.

    Its clients (Telegraf's `outputs.influxdb`) drop what any 4xx refuses, also a 429: who came
    too often is told 503, as 1.x tells it, and comes again.
    """
    status = _UNAVAILABLE if refused.status == _TOO_OFTEN else refused.status
    headers = _headers(refused)
    headers["X-Influxdb-Error"] = _header_text(refused.detail)
    if status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="InfluxDB"'
    return {"status": status, "body": RefusedV1(refused.detail), "headers": headers}


def refused_v2(refused: HTTPError) -> dict[str, Any]:
    """Return an error as InfluxDB 2.x tells it: `{"code", "message"}`."""
    headers = _headers(refused)
    if refused.status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Token"
    code = _CODES_V2.get(refused.status, "internal error")
    body = RefusedV2(code, refused.detail)
    return {"status": refused.status, "body": body, "headers": headers}


def pinged(*, is_verbose: bool) -> dict[str, Any]:
    """Return the answer to `/ping`: 204, or 200 with the version for who asks for it."""
    if is_verbose:
        return {"status": 200, "body": {"version": VERSION}, "headers": dict(_VERSION_HEADERS)}
    return {"status": 204, "headers": dict(_VERSION_HEADERS)}


def done() -> dict[str, Any]:
    """Return the answer to one InfluxQL statement that returns nothing."""
    body = {"results": [{"statement_id": 0}]}
    return {"status": 200, "body": body, "headers": dict(_VERSION_HEADERS)}


def _headers(refused: HTTPError) -> dict[str, str]:
    headers = dict(_VERSION_HEADERS)
    if refused.status in _COME_AGAIN:
        headers["Retry-After"] = str(refused.retry_after_s)
    return headers


def _reasons(rejected: list[Refusal]) -> str:
    shown = [f"line {one.index + 1}: {one.reason}" for one in rejected[:_REASONS_SHOWN]]
    more = len(rejected) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _header_text(text: str) -> str:
    """Return a text that a header can hold."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in plain)[:_MAX_HEADER_CHARS]
