"""`req`: what an api handler is given. A dict that also reads as attributes."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import cookie_parser

from tidegate.http.forms import File
from tidegate.http.source import Source, decode_json

_ALIASES = {
    "pathParams": "path_params",
    "queryParams": "query_params",
    "rawBody": "raw_body",
}


class Request(dict[str, Any]):
    """One request; middleware may change it. `pathParams` and `path_params` are the same.

    A part is made when it is first read: who does not look at the cookies does not pay for
    them, and who passes `raw_body` on decides himself what becomes of a body that is no JSON.
    """

    __slots__ = ("_source",)

    @classmethod
    def of(cls, source: Source) -> "Request":
        """Return a request as the client sent it, whatever an earlier one was changed to."""
        request = cls()
        object.__setattr__(request, "_source", source)
        return request

    def __getattr__(self, name: str) -> Any:
        """Return a part by name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        """Set a part by name."""
        self[_ALIASES.get(name, name)] = value

    def __setitem__(self, name: str, value: object) -> None:
        """Set a part by either of its names."""
        super().__setitem__(_ALIASES.get(name, name), value)

    def __missing__(self, name: str) -> Any:
        """Make a part that is read for the first time, or answer the camelCase spelling of one."""
        make = PARTS.get(name)
        source = _source_of(self)
        if make is not None and source is not None:
            value = self[name] = make(source)
            return value
        if name == "body" and "raw_body" in self:
            value = self["body"] = decode_json(self["raw_body"])
            return value
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        if snake != name and snake in self:
            return self[snake]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a part, made or not."""
        part = _ALIASES.get(name, name) if isinstance(name, str) else name
        return super().__contains__(part) or (_source_of(self) is not None and part in PARTS)

    def __iter__(self) -> Iterator[str]:
        """Go through the names of all parts; makes them."""
        for name in PARTS if _source_of(self) is not None else ():
            self[name]
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a part by any of its names, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


def query_lists(request: Request) -> Mapping[str, list[str]]:
    """Return every value of each parameter of the query, in the order of the request."""
    source = _source_of(request)
    lists: dict[str, list[str]] = {}
    for name, value in _query_pairs(source) if source else ():
        lists.setdefault(name, []).append(value)
    return lists


def _source_of(request: Request) -> Source | None:
    try:
        source: Source = object.__getattribute__(request, "_source")
    except AttributeError:
        return None
    return source


def _query_pairs(source: Source) -> list[tuple[str, str]]:
    text = source.scope["query_string"].decode("latin-1")
    return parse_qsl(text, keep_blank_values=True)


def _headers(source: Source) -> dict[str, str]:
    """Return the headers; one that came several times is joined as RFC 9110 5.3 says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in source.scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return headers


def _cookies(source: Source) -> dict[str, str]:
    return cookie_parser(_headers(source).get("cookie", ""))


def _target(source: Source) -> str:
    """Return path and query as the client wrote them, still percent-encoded."""
    query = source.scope["query_string"].decode("latin-1")
    raw_path = source.scope.get("raw_path") or b""
    path: str = raw_path.decode("latin-1") or source.scope["path"]
    return f"{path}?{query}" if query else path


def _client(source: Source) -> str:
    client = source.scope.get("client")
    return client[0] if client else ""


def _nobody(_source: Source) -> None:
    """Stand for who is found out by a middleware."""


PARTS: Mapping[str, Callable[[Source], Any]] = {
    "method": lambda source: source.scope.get("method", "GET"),
    "path": lambda source: source.scope["path"],
    "target": _target,
    "headers": _headers,
    "cookies": _cookies,
    "path_params": lambda source: dict(source.path_params),
    "query_params": lambda source: dict(_query_pairs(source)),
    "client": _client,
    "scheme": lambda source: source.scope.get("scheme", "http"),
    "raw_body": lambda source: source.raw_body,
    "body": lambda source: source.body(),
    "files": lambda source: {name: File(upload) for name, upload in source.uploads.items()},
    "user": _nobody,
    "tenant": _nobody,
    "ws": lambda source: source.ws,
}
