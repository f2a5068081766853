"""JSON decoded slowly, with an eye on names: for payloads in which one may stand twice. Pure."""

import json
from typing import Any

from wire.codecs.telemetry import Twice
from wire.errors import Malformed


def decoded_with_names(payload: bytes, fault: Exception | None = None) -> tuple[Any, bool]:
    """Return what a payload holds, and whether a name stands twice in one of its objects.

    Such an object comes as `Twice`. NaN and Infinity are read, though they are no JSON: what
    holds them can then be named. `fault` is what another decoder had against the payload.

    Raises:
        Malformed: it is no JSON, or nested too deeply.
    """
    twice: list[Twice] = []

    def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice.append(Twice(found))
        return twice[-1]

    try:
        return json.loads(payload.decode(), object_pairs_hook=_object), bool(twice)
    except (ValueError, RecursionError) as exc:
        raise Malformed(f"payload is not valid: {fault or exc}") from (fault or exc)
