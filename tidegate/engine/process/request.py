"""A request of an api step on its way to a handler's process: the plain parts, and what reads them.

What belongs to the connection stays in the parent: uploaded files, WebSockets.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tidegate.engine.plain import is_model_instance
from tidegate.errors import HTTPError

_PARTS = (
    "method",
    "path",
    "headers",
    "cookies",
    "path_params",
    "query_params",
    "raw_body",
    "user",
    "tenant",
)


def plain_parts(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a request that can be sent; without a body that cannot be read."""
    parts = {name: request[name] for name in _PARTS if name in request}
    with suppress(HTTPError):
        body = request["body"]
        # By alias, because the model is made from it anew.
        parts["body"] = body.model_dump(by_alias=True) if is_model_instance(body) else body
    return parts


class SentRequest(dict[str, Any]):
    """`req` in a handler's process: a dict that also reads as attributes, in both spellings."""

    def __getattr__(self, name: str) -> Any:
        """Return a part by name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __missing__(self, name: str) -> Any:
        """Answer the camelCase spelling of a part; raise `HTTPError` 400 for an unread body."""
        if name == "body":
            raise HTTPError(400, "body is not valid JSON; its bytes are in raw_body")
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        if snake != name and snake in self:
            return self[snake]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a part by either of its names, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


class SentRecord(dict[str, Any]):
    """`req.user` or `req.tenant` there: a dict that also reads as attributes, in both spellings."""

    def __getattr__(self, name: str) -> Any:
        """Return a field by its name in camelCase or snake_case."""
        camel = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
        for spelling in (name, camel):
            if spelling in self:
                return self[spelling]
        raise AttributeError(name)
