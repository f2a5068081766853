"""Streams for clients: a group of a stream by server-sent events or by WebSocket.

Both tell the same frames: the snapshot, then every change with its number. The server side holds
nothing for a client that does not read: it waits in `send`, and then gets a fresh snapshot.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import anyio
import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from tidegate import streams
from tidegate.errors import StoreAway
from tidegate.http.problem import problem
from tidegate.store.model import Frame, StreamSnapshot
from tidegate.streams.follower import Follower, Told
from tidegate.streams.hub import Hub

PATH = "/api/v1/streams/"
CLIENT = Path(streams.__file__).parent / "client" / "tidegate-streams.js"
_KEEP_ALIVE_S = 15.0
_RETRY_MS = 2_000
_TRY_AGAIN_LATER, _SERVICE_RESTART = 1013, 1012
_MAX_NUMBER_DIGITS = 18

Allow = Callable[
    [Mapping[str, str], Mapping[str, str], Mapping[str, str], str, str], Awaitable[int]
]
Decode = Callable[[bytes], Any]

_SEPARATORS = [(char.encode(), b"\\u%04x" % ord(char)) for char in "\u2028\u2029\x85"]

_encoder = msgspec.json.Encoder(decimal_format="number")


def stream_routes(
    hub: Hub, decode: Decode, allow: Allow, *, keep_alive_s: float = _KEEP_ALIVE_S
) -> list[BaseRoute]:
    """Return the routes of streams and of the JavaScript client.

    Args:
        hub: where the frames come from.
        decode: from a value's bytes to data.
        allow: gets headers (lower case), cookies and query of a request, stream and group;
            answers 200, 401 or 403. A WebSocket (header `upgrade`) with a cookie must come
            from our own pages: browsers send cookies with those of any page.
        keep_alive_s: how long an event stream is silent at most.
    """
    door = _Door(hub, decode, allow, keep_alive_s)

    async def client(_request: Request) -> Response:
        return FileResponse(CLIENT, media_type="text/javascript")

    return [
        Route(PATH + "{place:path}", door.events),
        WebSocketRoute(PATH + "{place:path}", door.frames),
        Route("/streams.js", client),
    ]


class Place(NamedTuple):
    """What a client asks for; `after` is None when it has nothing yet."""

    name: str
    group: str
    after: int | None


class _Door:
    def __init__(self, hub: Hub, decode: Decode, allow: Allow, keep_alive_s: float) -> None:
        self._hub = hub
        self._decode = decode
        self._allow = allow
        self._keep_alive_s = keep_alive_s

    async def events(self, request: Request) -> Response:
        """Answer with server-sent events."""
        place = await self._enter(request)
        if isinstance(place, Response):
            return place
        return _EventStream(self._hub, place, self._decode, self._keep_alive_s)

    async def frames(self, socket: WebSocket) -> None:
        """Send frames as texts until the client leaves; what it sends is not listened to."""
        place = await self._enter(socket)
        if isinstance(place, Response):
            await socket.send_denial_response(place)
            return
        async with self._hub.join(*place) as follower, anyio.create_task_group() as tasks:
            await socket.accept()
            tasks.start_soon(self._send_frames, socket, follower)
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
            tasks.cancel_scope.cancel()

    async def _send_frames(self, socket: WebSocket, follower: Follower) -> None:
        end = (_SERVICE_RESTART, "the server ends")
        # A client may leave at any moment, also while it is told why we do.
        with suppress(WebSocketDisconnect):
            try:
                async for told in follower:
                    await socket.send_text(as_json(told, self._decode).decode())
            except StoreAway:
                end = (_TRY_AGAIN_LATER, "the database does not answer")
            await socket.close(*end)

    async def _enter(self, request: HTTPConnection) -> Place | Response:
        place = asked(request)
        if isinstance(place, Response):
            return place
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(request.query_params)
        try:
            status = await self._allow(headers, request.cookies, query, place.name, place.group)
        except StoreAway as exc:
            return problem(503, str(exc), headers={"Retry-After": "1"})
        return place if status == 200 else _refused(status)  # noqa: PLR2004 - allowed


class _EventStream(Response):
    """A response that lasts until its client leaves."""

    def __init__(self, hub: Hub, place: Place, decode: Decode, keep_alive_s: float) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"
        self._hub = hub
        self._place = place
        self._decode = decode
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then frames until the client leaves."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        if scope["method"] != "HEAD":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send_events, send, tasks.cancel_scope)
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, send: Send, connection: anyio.CancelScope) -> None:
        await send(_part(b"retry: %d\n\n" % _RETRY_MS))
        async with self._hub.join(*self._place) as follower:
            while True:
                text = b": still here\n\n"
                try:
                    with anyio.move_on_after(self._keep_alive_s):
                        text = as_event(await anext(follower), self._decode)
                except (StoreAway, StopAsyncIteration):
                    # The client comes again with its number, and finds us then.
                    break
                await send(_part(text))
        connection.cancel()


def asked(request: HTTPConnection) -> Place | Response:
    """Read stream, group and number from a request, or return what is wrong with it."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    parts = raw.partition(b"?")[0].partition(PATH.encode())[2].split(b"/")
    if len(parts) != 2:  # noqa: PLR2004 - stream and group
        return problem(404, f"the path is {PATH}STREAM/GROUP, each percent-encoded")
    try:
        name, group = (unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        return problem(400, "stream and group must be UTF-8, percent-encoded")
    if "\0" in name + group:
        # PostgreSQL keeps no such text, so there is no such stream.
        return problem(400, "stream and group cannot hold a NUL character")
    # A browser that comes back sends the newer number in the header.
    last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if not last:
        return Place(name, group, None)
    if not (last.isascii() and last.isdecimal()):
        return problem(400, "after must be the number of the last frame")
    # No number is as long: it is unknown, and gets a snapshot as such.
    return Place(name, group, int(last[:_MAX_NUMBER_DIGITS]))


def as_json(told: Told, decode: Decode) -> bytes:
    """Return a frame as clients get it."""
    if isinstance(told, StreamSnapshot):
        values = {key: decode(data) for key, data in told.values}
        return _encode(told.seq, "snapshot", None, values)
    change = told.change
    data = None if change.data is None else decode(change.data)
    return _encode(told.seq, change.kind, change.id, data)


def as_event(told: Told, decode: Decode) -> bytes:
    """Return a frame as one server-sent event."""
    kind = told.change.kind if isinstance(told, Frame) else "snapshot"
    data = as_json(told, decode)
    # JSON has no line breaks, but many clients take these for some.
    for separator, escaped in _SEPARATORS:
        data = data.replace(separator, escaped)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (told.seq, kind.encode(), data)


def _encode(seq: int, kind: str, id: str | None, data: Any) -> bytes:  # noqa: A002
    return _encoder.encode({"seq": seq, "type": kind, "id": id, "data": data})


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _refused(status: int) -> Response:
    if status == 401:  # noqa: PLR2004 - who is it
        return problem(401, "needs a bearer token or a session")
    return problem(status, "this stream is not for you")
