"""The step contract and its runtime: config + `handler(input, ctx)`, state, events, HTTP."""

from tidegate.contract import Context
from tidegate.errors import HTTPError, NonRetriable, RetryAfter, UndeclaredEmit

__all__ = ["Context", "HTTPError", "NonRetriable", "RetryAfter", "UndeclaredEmit"]
