"""The trace that a request belongs to (W3C trace context)."""

import re

from tidegate.engine.ids import new_trace_id
from tidegate.http.source import Source

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_id_of(source: Source) -> str:
    """Return the trace that the caller is in, or a new one."""
    header = source.heads.get(b"traceparent")
    match = _TRACEPARENT.fullmatch(header) if header else None
    return match[1].decode() if match else new_trace_id()
