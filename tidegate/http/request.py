"""`req`: what an api handler is given. A dict that also reads as attributes."""

import re
from typing import Any

import anyio
import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest

from tidegate.errors import HTTPError

MAX_BODY_BYTES = 64 * 1024 * 1024
BODY_TIMEOUT_S = 20.0
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Request(dict[str, Any]):
    """One request; middleware may change it. `pathParams` and `path_params` are the same.

    A JSON body is decoded when it is first read: who passes `raw_body` on does not pay for it,
    and decides himself what becomes of a body that is no JSON.
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
        """Decode the body, or answer the camelCase spelling of a part."""
        if name == "body" and "raw_body" in self:
            self["body"] = _decode_json(self["raw_body"])
            return self["body"]
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        if snake != name and snake in self:
            return self[snake]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a part by any of its names, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


def read_head(source: StarletteRequest) -> Request:
    """Return what is known of a request before its body is read."""
    splat = source.path_params.get("splat")
    path_params: dict[str | int, str] = dict(source.path_params.items())
    if splat is not None:
        path_params[0] = path_params["0"] = path_params.pop("splat")
    return Request(
        method=source.method,
        path=source.url.path,
        target=_target(source),
        headers={name.lower(): value for name, value in source.headers.items()},
        cookies=dict(source.cookies),
        path_params=path_params,
        query_params=dict(source.query_params),
        client=source.client.host if source.client else "",
        scheme=source.url.scheme,
        user=None,
        tenant=None,
    )


class Body:
    """The body of one request: read from the connection once, given to every run of it."""

    def __init__(self, source: StarletteRequest) -> None:
        self._source = source
        self._parts: dict[str, Any] | None = None

    async def fill(self, request: Request) -> None:
        """Add `raw_body`, `body` and `files` to a request that has only its head.

        Raises:
            HTTPError: 408 for a body that does not come, 413 for one beyond the limit, 400 for
                a form that is none.
        """
        if "raw_body" in request:
            return
        if self._parts is None:
            try:
                with anyio.fail_after(BODY_TIMEOUT_S):
                    self._parts = await self._read()
            except TimeoutError as exc:
                raise HTTPError(408, f"the body did not come within {BODY_TIMEOUT_S} s") from exc
        request.update(self._parts)

    async def _read(self) -> dict[str, Any]:
        raw_body = await _read_body(self._source)
        kind = self._source.headers.get("content-type", "").partition(";")[0].strip().lower()
        parts: dict[str, Any] = {"raw_body": raw_body, "files": {}}
        if kind in _FORMS:
            parts["body"], parts["files"] = await _decode_form(self._source, raw_body)
        elif not _is_json(kind) or not raw_body:
            parts["body"] = raw_body or None
        return parts


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

    try:
        form = await StarletteRequest(source.scope, replay).form()
    except HTTPException as exc:
        raise HTTPError(400, f"form cannot be read: {exc.detail}") from exc
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    files = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
    return fields, files
