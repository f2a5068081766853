"""Convert the texts of a query string to the types that a step's `queryParams` declare. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.engine.schemas import Checker, json_schema_of

_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_NOTHING: Mapping[str, list[str]] = {}


class QueryConverter:
    """A compiled `queryParams`: a schema of an object, a list (documentation), or None."""

    def __init__(self, schema: object) -> None:
        """Compile; raise `Misconfigured` when the schema is not valid."""
        declared = None if isinstance(schema, (list, tuple)) else schema
        self.converts = declared is not None
        self._checker = Checker(declared)
        self._kinds = _properties(json_schema_of(declared))

    def convert(self, params: Mapping[str, Any], lists: Mapping[str, list[str]] = _NOTHING) -> Any:
        """Return the parameters with their declared types.

        Args:
            params: the parameters; what is no text stays as it is.
            lists: every value of those that came several times, for declared arrays.

        Raises:
            InvalidData: a parameter does not fit.
        """
        converted = {
            name: self._value(self._kinds.get(name, {}), value, lists.get(name, [value]))
            for name, value in params.items()
        }
        return self._checker.check(converted)

    def _value(self, kind: Mapping[str, Any], value: Any, values: list[Any]) -> Any:
        if not isinstance(value, str):
            return value
        types = _types(kind)
        if "array" in types:
            items = _types(kind.get("items") or {})
            return [_convert(text, items) for text in values]
        return _convert(value, types)


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the declared parameters; a reference is followed."""
    definitions = schema.get("$defs", {})

    def resolved(kind: Any) -> Mapping[str, Any]:
        name = kind.get("$ref", "") if isinstance(kind, dict) else ""
        found = definitions.get(name.rpartition("/")[2], kind)
        return found if isinstance(found, dict) else {}

    return {name: resolved(kind) for name, kind in resolved(schema).get("properties", {}).items()}


def _types(kind: Any) -> set[str]:
    """Return the JSON types that a schema allows, as far as it says them itself."""
    if not isinstance(kind, dict):
        return set()
    said = kind.get("type", [])
    types = {said} if isinstance(said, str) else set(said)
    for choice in (*kind.get("anyOf", ()), *kind.get("oneOf", ())):
        types |= _types(choice)
    return types


def _convert(text: str, types: set[str]) -> Any:
    """Convert one text; one that does not convert stays a text, which the schema refuses."""
    for name, convert in (("integer", int), ("number", float)):
        if name in types:
            try:
                # Other digits, "1_000" and " 1" are numbers to Python only.
                return convert(text) if text.isascii() and _is_tight(text) else text
            except ValueError:
                continue
    return _TRUTH.get(text.lower(), text) if "boolean" in types else text


def _is_tight(text: str) -> bool:
    return text == text.strip() and "_" not in text
