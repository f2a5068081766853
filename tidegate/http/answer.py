"""From what a handler returned to an HTTP response."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import FileResponse, Response, StreamingResponse

# Decimals are written as exact numbers, datetimes as ISO 8601.
_encoder = msgspec.json.Encoder(decimal_format="number")


def to_response(answer: Any) -> Response:
    """Turn a handler's answer into a response; see `CONTRACT`: answers.

    `None` is 204, a tuple is (status, body), a dict with `status` is taken apart, a Response is
    itself; any other value is the body of a 200.
    """
    if isinstance(answer, Response):
        return answer
    status, body, headers = _parts(answer)
    pairs = [(name, value) for name, values in headers.items() for value in _each(values)]
    response = _body_response(status, body, dict(headers))
    for name, value in pairs:
        if name.lower() == "set-cookie":
            response.headers.append(name, value)
        else:
            response.headers[name] = value
    return response


def _parts(answer: Any) -> tuple[int, Any, Mapping[str, Any]]:
    if answer is None:
        return 204, None, {}
    if isinstance(answer, tuple) and len(answer) == 2:  # noqa: PLR2004 - (status, body)
        return answer[0], answer[1], {}
    if isinstance(answer, dict) and isinstance(answer.get("status"), int):
        return answer["status"], answer.get("body"), answer.get("headers") or {}
    return 200, answer, {}


def _each(values: str | list[str]) -> list[str]:
    return values if isinstance(values, list) else [str(values)]


def _body_response(status: int, body: Any, headers: Mapping[str, Any]) -> Response:
    if body is None:
        return Response(status_code=status)
    if isinstance(body, Path):
        return FileResponse(body, status_code=status)
    if isinstance(body, AsyncIterator):
        return StreamingResponse(body, status_code=status)
    if isinstance(body, bytes):
        return Response(body, status_code=status, media_type="application/octet-stream")
    if isinstance(body, str) and any(name.lower() == "content-type" for name in headers):
        return Response(body, status_code=status)
    return Response(_encoder.encode(body), status_code=status, media_type="application/json")
