"""Errors as problem documents (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from tidegate.http.answer import Answer, Headers

MEDIA_TYPE = "application/problem+json"
_UNAUTHORIZED = 401
_CHALLENGE = (b"www-authenticate", b"Bearer")


def refusal(
    status: int,
    detail: str = "",
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return a problem document as an answer; `errors` are pointers with reasons."""
    body: dict[str, object] = {"type": "about:blank", "title": _title(status), "status": status}
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    content = msgspec.json.encode(body)
    sent: Headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(content)),
    ]
    if status == _UNAUTHORIZED and "WWW-Authenticate" not in (headers or {}):
        sent.append(_CHALLENGE)
    sent += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Answer(status, sent, content)


def problem(status: int, detail: str = "", *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document as Starlette's routes answer it."""
    answer = refusal(status, detail, headers=headers)
    texts = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, status_code=status, headers=texts)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
