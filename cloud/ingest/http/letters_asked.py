"""How the API is asked for dead letters: whose, why, how many, and from where on."""

from collections.abc import Mapping
from typing import Any

_MAX_LIMIT = 1_000
_INT64_MAX = 2**63 - 1

# Of a query or a body; `cursor` is the id below which the letters are.
PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    "tenant": {"type": "string"},
    "device": {"type": "string"},
    "reason": {"type": "string", "minLength": 1, "maxLength": 200},
    "limit": {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT},
    "cursor": {"type": "integer", "minimum": 1, "maximum": _INT64_MAX},
}
