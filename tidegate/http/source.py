"""Where a request comes from: its ASGI scope, and its body, which is read once and bounded."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import anyio
import msgspec

from tidegate.errors import HTTPError
from tidegate.http.forms import Upload, is_form, read_form
from tidegate.http.limits import Limits

BODY_IS_HERE = "tidegate.body_is_here"
"""In the scope of a request whose body came together with its head: nobody needs to wait."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Gone(Exception):
    """The client left before its request was complete; nobody waits for an answer."""


class Source:
    """One request as the server hands it over; it outlives the runs of its invocation."""

    __slots__ = (
        "_fields", "_limits", "_receive", "heads", "is_read", "is_reading", "kind", "path_params",
        "raw_body", "scope", "uploads", "ws",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        path_params: Mapping[str | int, str],
        limits: Limits,
        *,
        ws: object = None,
    ) -> None:
        self.scope = scope
        self.path_params = path_params
        self.heads: dict[bytes, bytes] = dict(scope["headers"])
        self.kind = self.heads.get(b"content-type", b"")
        self.raw_body = b""
        self.uploads: Mapping[str, Upload] = {}
        self.ws = ws
        self.is_read = ws is not None
        self.is_reading = False
        self._fields: Mapping[str, Any] = {}
        self._limits = limits
        self._receive = receive

    async def read(self) -> None:
        """Read the body, and take it apart when it is a form.

        Raises:
            HTTPError: 413 for a body beyond the limit (64 MiB), 400 for a form that is none.
            Gone: the client left.
        """
        if self.is_read:
            return
        if int(self.heads.get(b"content-length", 0)) > self._limits.body_bytes:
            raise self._too_large()
        self.is_reading = True
        message = await self._receive()
        self.raw_body = message.get("body", b"")
        if message.get("more_body", False) or message["type"] == "http.disconnect":
            self.raw_body = await self._read_on(message)
        self.is_read = True
        self.is_reading = False
        if self.kind and is_form(self.kind):
            self._fields, self.uploads = await read_form(self.scope, self.raw_body)

    async def read_in_time(self) -> None:
        """Read the body in its time (20 s), else raise `HTTPError` 408; see `read`."""
        if self.is_read:
            return
        try:
            with anyio.fail_after(self._limits.body_timeout_s):
                await self.read()
        except TimeoutError as exc:
            raise self.too_slow() from exc

    def too_slow(self) -> HTTPError:
        """Return the refusal of a body that does not come."""
        return HTTPError(408, f"the body did not come within {self._limits.body_timeout_s} s")

    def body(self) -> Any:
        """Return the decoded body, a new copy each time: a form's fields, JSON, or the bytes."""
        if self.kind and is_form(self.kind):
            return dict(self._fields)
        if not self.raw_body:
            return None
        return decode_json(self.raw_body) if is_json(self.kind) else self.raw_body

    async def _read_on(self, message: Message) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise Gone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._limits.body_bytes:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)
            message = await self._receive()

    def _too_large(self) -> HTTPError:
        return HTTPError(413, f"body is larger than {self._limits.body_bytes} bytes")


def is_json(content_type: bytes) -> bool:
    """Tell whether a Content-Type means JSON."""
    if content_type == b"application/json":
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")


def decode_json(raw_body: bytes) -> Any:
    """Decode JSON; raise `HTTPError` 400 for what is none (NaN and Infinity are none)."""
    try:
        return msgspec.json.decode(raw_body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise HTTPError(400, f"body is not valid JSON: {exc}") from exc
