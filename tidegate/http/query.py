"""Convert the texts of a query string to the types that a step's `queryParams` declare. Pure."""

from typing import Any

from tidegate.engine.schemas import Checker

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class QueryConverter:
    """A compiled `queryParams`: a JSON Schema of an object, a list (documentation), or None."""

    def __init__(self, schema: object) -> None:
        """Compile; raise `Misconfigured` when the schema is not valid."""
        declared = schema if isinstance(schema, dict) else None
        self._checker = Checker(declared)
        self._kinds = {
            name: kind.get("type")
            for name, kind in (declared or {}).get("properties", {}).items()
            if isinstance(kind, dict)
        }

    def convert(self, params: dict[str, str]) -> dict[str, Any]:
        """Return the parameters with their declared types.

        Raises:
            InvalidData: a parameter does not fit.
        """
        converted = {name: _convert(text, self._kinds.get(name)) for name, text in params.items()}
        checked: dict[str, Any] = self._checker.check(converted)
        return checked


def _convert(text: str, kind: object) -> Any:
    """Convert one text; one that does not convert stays a text, which the schema refuses."""
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    return _TRUTH.get(text.lower(), text) if kind == "boolean" else text
