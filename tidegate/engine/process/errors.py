"""Errors on their way between a handler's process and its parent."""

import traceback
from typing import Any

from tidegate.errors import HTTPError, NonRetriable, RetryAfter, UndeclaredEmit


class HandlerFailed(Exception):
    """A handler failed in its process; the text has the error and its stack there."""


def to_plain(exc: BaseException) -> dict[str, Any]:
    """Return what the other side needs to raise the error again."""
    return {
        "class": type(exc).__name__,
        "text": str(exc),
        "seconds": getattr(exc, "seconds", None),
        "status": getattr(exc, "status", None),
        "stack": "".join(traceback.format_exception(exc)),
    }


def from_plain(plain: dict[str, Any]) -> Exception:
    """Return the error: one of the contract's, `TimeoutError`, or `HandlerFailed`."""
    name, text = plain["class"], plain["text"]
    if name == RetryAfter.__name__:
        return RetryAfter(plain["seconds"], text)
    if name == HTTPError.__name__:
        return HTTPError(plain["status"], text)
    for kind in (NonRetriable, UndeclaredEmit, TimeoutError):
        if name == kind.__name__:
            return kind(text)
    return HandlerFailed(f"{name}: {text}\n{plain['stack']}")
