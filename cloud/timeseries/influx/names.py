"""Names as InfluxDB can hold them, and back again. Pure.

Almost every name stays as it is. A character that line protocol, InfluxQL or one of the servers
treats in its own way becomes `%` and two hexadecimal digits, like the first character of a name
that means something to them. So a stored name never holds a quote that could end a literal.
"""

import re

# Backslashes escape sometimes, quotes begin texts, controls end lines; `%` only where it could be
# taken for one of ours.
_ODD = re.compile(r'[\\"\x00-\x1f\x7f]|%(?=[0-9A-F]{2})')
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
# As a field `time` is dropped without a word; a field named like a tag is renamed in answers.
_RESERVED = frozenset({"time", "tenant", "device"})


def stored_name(name: str) -> str:
    """Return the name to store a tenant, a device or a metric under.

    Raises:
        ValueError: no name of ours: it is empty, or has halves of surrogate pairs.
    """
    if not name:
        raise ValueError("an empty name cannot be stored")
    name.encode()
    escaped = _ODD.sub(_escape, name)
    if escaped.startswith(("_", "#")) or escaped in _RESERVED:
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    return escaped


def name_of(stored: str) -> str:
    """Return the name that was stored; what nobody escaped is returned as it is."""
    if "%" not in stored:
        return stored
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), stored)


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
