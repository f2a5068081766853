"""The refusals that every api step shares, as OpenAPI has them (RFC 9457). Pure."""

from typing import Any

MEDIA_TYPE = "application/problem+json"
_REF = "#/components/responses/"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "reason"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to what is wrong"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
REASONS = {
    "400": "The request is malformed.",
    "401": "Nobody is known to call: send a bearer token or a session's cookie.",
    "403": "The caller may not do this.",
    "404": "There is no such thing.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "422": "The request does not fit its schema; `errors` says where.",
    "426": "The path takes WebSockets only.",
    "4XX": "The handler refuses; `detail` says why.",
    "500": "The handler failed.",
    "503": "The handler took too long, or the database does not answer.",
}
_NAMES = {"4XX": "Refused"}
_WITH_RETRY = ("503",)


def components() -> dict[str, Any]:
    """Return every refusal as a shared response."""
    return {_name(status): response(status) for status in REASONS}


def references(*statuses: str) -> dict[str, Any]:
    """Return the refusals of an operation by status."""
    return {status: {"$ref": _REF + _name(status)} for status in statuses}


def response(status: str) -> dict[str, Any]:
    """Return one refusal."""
    schema = {"$ref": "#/components/schemas/Problem"}
    made: dict[str, Any] = {
        "description": REASONS[status],
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if status in _WITH_RETRY:
        made["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
        }
    return made


def _name(status: str) -> str:
    return _NAMES.get(status, f"Problem{status}")
