"""From what a handler returned to what leaves: status, headers, bytes, a file or a stream."""

import os
import re
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from starlette.responses import FileResponse, Response

from tidegate.engine.exact_json import encode
from tidegate.http.source import Receive, Scope, Send

_NO_CONTENT = 204
_BODILESS = (_NO_CONTENT, 304)
_STATUSES = range(200, 600)
_JSON = (b"content-type", b"application/json")
_BYTES = (b"content-type", b"application/octet-stream")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Ours to set: a handler that sets them would only break the message.
_FRAMING = (b"content-length", b"transfer-encoding", b"connection")

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """An answer whose body is here."""

    status: int
    headers: Headers
    body: bytes

    async def send(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class Delegated(NamedTuple):
    """An answer that Starlette sends: a file, or a Response that a handler returned."""

    status: int
    response: Response

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await self.response(scope, receive, send)


class Streamed(NamedTuple):
    """An answer whose body comes piece by piece; `tidegate.http.streaming` sends it."""

    status: int
    headers: Headers
    pieces: AsyncIterator[Any]


def to_answer(returned: Any) -> Answer | Delegated | Streamed:
    """Turn what a handler returned into an answer; see `CONTRACT`: answers.

    `None` is 204, a tuple is (status, body), a dict with `status` is taken apart, a Response is
    itself; any other value is the body of a 200. Whoever calls this before the commit lets
    nothing commit whose answer cannot be told.

    Raises:
        TypeError: the body holds what is no JSON.
        ValueError: a status or a header is none, or the body holds a number that JSON has not.
        OSError: the file to be answered is not there, or not to be read.
    """
    status, body, given = _parts(returned)
    if status not in _STATUSES:
        raise ValueError(f"{status} is no status of an answer; it must be 200 to 599")
    if isinstance(body, Response):
        if isinstance(body, FileResponse):
            _stat_of(body.path)
        return Delegated(body.status_code, body)
    if isinstance(body, Path):
        return _file(status, body, given)
    headers = _headers(given) if given else []
    typed = any(name == b"content-type" for name, _ in headers)
    if isinstance(body, AsyncIterator):
        return Streamed(status, headers, body)
    if body is None:
        content = b""
    elif isinstance(body, (bytes, bytearray, memoryview)):
        content = bytes(body)
        headers += [] if typed else [_BYTES]
    elif isinstance(body, str) and typed:
        content = body.encode()
    else:
        content = encode(body)
        headers += [] if typed else [_JSON]
    if status in _BODILESS:
        return Answer(status, [item for item in headers if item is not _JSON], b"")
    headers.append((b"content-length", b"%d" % len(content)))
    return Answer(status, headers, content)


def _parts(returned: Any) -> tuple[int, Any, Mapping[str, Any]]:
    if returned is None:
        return _NO_CONTENT, None, {}
    if isinstance(returned, dict) and type(returned.get("status")) is int:
        return returned["status"], returned.get("body"), returned.get("headers") or {}
    if isinstance(returned, tuple) and len(returned) == 2:  # noqa: PLR2004 - (status, body)
        return returned[0], returned[1], {}
    return 200, returned, {}


def _file(status: int, path: Path, given: Mapping[str, Any]) -> Delegated:
    response = FileResponse(path, status_code=status, stat_result=_stat_of(path))
    for name, value in _headers(given):
        response.headers[name.decode()] = value.decode("latin-1")
    return Delegated(status, response)


def _stat_of(path: str | os.PathLike[str]) -> os.stat_result:
    """Return what is known of a file; raise `OSError` when it cannot be sent."""
    known = Path(path).stat()
    if not stat.S_ISREG(known.st_mode) or not os.access(path, os.R_OK):
        raise PermissionError(f"'{path}' is no file that may be read; it cannot be answered")
    return known


def _headers(given: Mapping[str, Any]) -> Headers:
    """Return the headers as they are sent; a list of values is a header for each."""
    pairs: Headers = []
    for name, values in given.items():
        for value in values if isinstance(values, (list, tuple)) else (values,):
            pair = (name.lower().encode("latin-1"), str(value).encode("latin-1"))
            if not _NAME.fullmatch(pair[0]) or _NOT_IN_A_VALUE.search(pair[1]):
                raise ValueError(f"header '{name}' cannot be sent")
            if pair[0] not in _FRAMING:
                pairs.append(pair)
    return pairs
