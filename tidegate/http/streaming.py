"""Send an answer piece by piece: a stream of texts, bytes or JSON, or server-sent events.

What leads to the first piece has committed before this starts. A client that leaves ends the
stream; one that takes nothing in time (a minute) is cut off.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import structlog
from anyio.lowlevel import checkpoint
from prometheus_client import Counter

from tidegate.engine.exact_json import encode
from tidegate.http.answer import Delegated, Headers, Streamed
from tidegate.http.source import Message, Receive, Scope, Send

_EVENTS = b"text/event-stream"
_EVENT_FIELDS = ("event", "id", "retry")

_cut = Counter("tidegate_http_streams_cut_total", "Streams that ended early", ["step", "why"])
log = structlog.get_logger()


class StreamCut(Exception):
    """A stream ended before its end: the connection has to be closed, so that this is seen."""


def in_time(send: Send, timeout_s: float) -> Send:
    """Return a `send` that raises `TimeoutError` when the client does not take a piece in time."""

    async def send_in_time(message: Message) -> None:
        with anyio.fail_after(timeout_s):
            await send(message)

    return send_in_time


async def send_stream(answer: Streamed, step: str, receive: Receive, send: Send) -> None:
    """Send an answer's pieces as they come, with a `send` that is `in_time`.

    Raises:
        StreamCut: the pieces ended by an error, or the client took none; logged and counted.
    """
    pieces = _closable(answer.pieces)
    why = ""
    async with anyio.create_task_group() as tasks, aclosing(pieces):
        tasks.start_soon(_until_gone, receive, tasks.cancel_scope.cancel)
        try:
            await _send_pieces(answer, pieces, send)
        except TimeoutError:
            why = "too_slow"
        except Exception:
            # The pieces are foreign code; their error must not look like the end of the stream.
            log.exception("stream.failed", step=step)
            why = "failed"
        tasks.cancel_scope.cancel()
    if why:
        _cut.labels(step, why).inc()
        raise StreamCut(f"the stream of step '{step}' ended early: {why}")


async def send_file(
    answer: Delegated, step: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a file, or whatever a Response sends, with a `send` that is `in_time`.

    Raises:
        StreamCut: the client took none of it in time; counted.
    """
    try:
        await answer.send(scope, receive, send)
    except TimeoutError:
        _cut.labels(step, "too_slow").inc()
        raise StreamCut(f"the file of step '{step}' ended early: too_slow") from None


async def _send_pieces(answer: Streamed, pieces: AsyncIterator[Any], send: Send) -> None:
    started = False
    kind = dict(answer.headers).get(b"content-type", b"")
    if kind:
        await _start(answer.status, answer.headers, send)
        started = True
    async for piece in pieces:
        if not started:
            kind = _kind_of(piece)
            await _start(answer.status, [*answer.headers, (b"content-type", kind)], send)
            started = True
        message = {"type": "http.response.body", "body": _bytes_of(piece, kind)}
        await send({**message, "more_body": True})
        # Sending to a client that has left never waits, and pieces need not wait either: the
        # others, and who sees that it has left, would never have their turn.
        await checkpoint()
    if not started:
        await _start(answer.status, answer.headers, send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _start(status: int, headers: Headers, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _kind_of(piece: Any) -> bytes:
    """Return the type of a stream that says none, by its first piece."""
    if isinstance(piece, str):
        return b"text/plain; charset=utf-8"
    return b"application/octet-stream" if isinstance(piece, bytes) else b"application/x-ndjson"


def _bytes_of(piece: Any, kind: bytes) -> bytes:
    """Return a piece as it is sent: texts and bytes as they are, anything else as JSON."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode()
    if not kind.startswith(_EVENTS):
        return encode(piece) + b"\n"
    if not isinstance(piece, dict) or "data" not in piece:
        return b"data: " + encode(piece) + b"\n\n"
    fields = [f"{name}: {piece[name]}\n" for name in _EVENT_FIELDS if piece.get(name) is not None]
    return "".join(fields).encode() + b"data: " + encode(piece["data"]) + b"\n\n"


async def _until_gone(receive: Receive, end: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    end()


async def _closable(pieces: AsyncIterator[Any]) -> Any:
    """Go through any iterator, so that it can be closed as a generator is."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        if hasattr(pieces, "aclose"):
            with anyio.move_on_after(5, shield=True):
                await pieces.aclose()
