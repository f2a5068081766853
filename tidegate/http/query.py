"""Convert the texts of a query string to the types that a step's `queryParams` declare. Pure."""

from typing import Any

from tidegate.engine.schemas import Checker

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def convert_query(params: dict[str, str], schema: object) -> dict[str, Any]:
    """Return the parameters with their declared types.

    `schema` is a JSON Schema of an object, or a list of `{"name", "description"}` (documentation
    only), or None.

    Raises:
        InvalidData: a parameter does not fit.
    """
    if not isinstance(schema, dict):
        return dict(params)
    properties = schema.get("properties", {})
    converted = {
        name: _convert(text, properties.get(name, {}).get("type")) for name, text in params.items()
    }
    checked: dict[str, Any] = Checker(schema).check(converted)
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
