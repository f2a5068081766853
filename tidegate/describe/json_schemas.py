"""Any kind of schema that a step may declare, as JSON Schema. Pure."""

from typing import Any

import msgspec

from tidegate.errors import Misconfigured

_NAMES_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DATA = ("enum", "const", "default", "examples", "example")
_LATEST = "https://json-schema.org/draft/2020-12/schema"


def json_schema_of(declared: Any, *, answers: bool = False) -> Any:
    """Return a schema as JSON Schema: a dict, True or False; {} for None, which allows all.

    Args:
        declared: JSON Schema, a msgspec Struct (or another type it knows), a pydantic model.
        answers: as what we send, which may differ from what we take.

    Raises:
        Misconfigured: it is none of them, or holds a type that has no JSON Schema.
    """
    if declared is None:
        return {}
    if isinstance(declared, bool):
        return declared
    if isinstance(declared, dict):
        schema = _as_json(declared)
        if schema.get("$schema", "").rstrip("#") == _LATEST:
            del schema["$schema"]
        return schema
    if hasattr(declared, "model_json_schema"):
        return declared.model_json_schema(mode="serialization" if answers else "validation")
    return _of_type(declared)


def _of_type(declared: Any) -> Any:
    try:
        schema = msgspec.json.schema(declared)
    except (TypeError, RuntimeError) as exc:
        raise Misconfigured(f"{declared!r} has no JSON Schema: {exc}") from exc
    # Defaults are Python values there.
    return rewritten(_as_json(schema), _as_others_read_it)


def _as_json(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a schema as it would be read from a file: tuples are lists."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def _as_others_read_it(keyword: str, value: Any, siblings: dict[str, Any]) -> Any:
    """Say that a Decimal is a number, too, as we take and write it; write patterns as ECMAScript.

    Python alone has other signs for a text's beginning and end.
    """
    if keyword == "type" and siblings.get("format") == "decimal":
        return ["number", "string"]
    if keyword == "pattern":
        return value.replace("\\A", "^").replace("\\Z", "$")
    return value


def rewritten(schema: Any, change: Any) -> Any:
    """Return a copy in which `change(keyword, value, siblings)` has replaced plain values.

    Names of properties and data (`enum`, `default`, …) are not taken for keywords.
    """
    if isinstance(schema, list):
        return [rewritten(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        keyword: _rewritten_value(keyword, value, schema, change)
        for keyword, value in schema.items()
    }


def _rewritten_value(keyword: str, value: Any, siblings: dict[str, Any], change: Any) -> Any:
    if keyword in _DATA:
        return value
    if keyword in _NAMES_OF_SCHEMAS and isinstance(value, dict):
        return {name: rewritten(schema, change) for name, schema in value.items()}
    if isinstance(value, dict) or (
        isinstance(value, list) and not all(isinstance(v, str) for v in value)
    ):
        return rewritten(value, change)
    return change(keyword, value, siblings)


def references(schema: Any) -> list[str]:
    """Return the `$ref`s of a schema, in order."""
    found: list[str] = []

    def note(keyword: str, value: Any, _siblings: dict[str, Any]) -> Any:
        if keyword == "$ref":
            found.append(value)
        return value

    rewritten(schema, note)
    return found
