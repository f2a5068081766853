"""`req`: what an api handler is given. A dict that also reads as attributes."""

import re
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request as StarletteRequest

from tidegate.errors import HTTPError

MAX_BODY_BYTES = 64 * 1024 * 1024
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Request(dict[str, Any]):
    """One request; middleware may change it. `pathParams` and `path_params` are the same.

    A JSON body is decoded when it is first read: who passes `raw_body` on does not pay for it,
    and a handler of its own decides what becomes of a body that is no JSON.
    """

    def __getattr__(self, name: str) -> Any:
        """Return a part by name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        """Set a part by name."""
        self[name] = value

    def __missing__(self, name: str) -> Any:
        """Answer the camelCase spelling of a part."""
        if name == "body":
            self["body"] = _decode_json(self["raw_body"])
            return self["body"]
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        if snake != name and snake in self:
            return self[snake]
        raise KeyError(name)


async def read_request(source: StarletteRequest) -> Request:
    """Read a request whole.

    Raises:
        HTTPError: 413 for a body beyond the limit, 400 for a body that is not what it says.
    """
    raw_body = await _read_body(source)
    kind = source.headers.get("content-type", "").partition(";")[0].strip().lower()
    fields, files = await _decode_form(source, raw_body) if kind in _FORMS else (None, {})
    splat = source.path_params.get("splat")
    path_params: dict[str | int, str] = dict(source.path_params.items())
    if splat is not None:
        path_params[0] = path_params["0"] = path_params.pop("splat")
    request = Request(
        method=source.method,
        path=source.url.path,
        target=_target(source),
        raw_body=raw_body,
        headers={name.lower(): value for name, value in source.headers.items()},
        cookies=dict(source.cookies),
        path_params=path_params,
        query_params=dict(source.query_params),
        files=files,
        client=source.client.host if source.client else "",
        scheme=source.url.scheme,
        user=None,
        tenant=None,
    )
    if not _is_json(kind) or not raw_body:
        request["body"] = fields if kind in _FORMS else raw_body or None
    return request


def _target(source: StarletteRequest) -> str:
    """Return path and query as the client wrote them, still percent-encoded."""
    query = source.scope["query_string"].decode("latin-1")
    path: str = source.scope.get("raw_path", b"").decode("latin-1") or source.url.path
    return f"{path}?{query}" if query else path


async def _read_body(source: StarletteRequest) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in source.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise HTTPError(413, f"body is larger than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def _decode_json(raw_body: bytes) -> Any:
    try:
        return msgspec.json.decode(raw_body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise HTTPError(400, f"body is not valid JSON: {exc}") from exc


async def _decode_form(
    source: StarletteRequest, raw_body: bytes
) -> tuple[dict[str, str], dict[str, UploadFile]]:
    async def replay() -> dict[str, object]:
        return {"type": "http.request", "body": raw_body, "more_body": False}

    form = await StarletteRequest(source.scope, replay).form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    files = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
    return fields, files
