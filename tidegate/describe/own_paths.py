"""What the runtime answers beside the steps: health, metrics, streams. Pure."""

from typing import Any

from tidegate.describe import problems
from tidegate.describe.components import Components

FRAME: dict[str, Any] = {
    "type": "object",
    "required": ["seq", "type", "id", "data"],
    "properties": {
        "seq": {"type": "integer", "minimum": 0, "description": "Rises by one with each change."},
        "type": {"enum": ["snapshot", "set", "delete", "event"]},
        "id": {"type": ["string", "null"], "description": "The value's key."},
        "data": {"description": "The value; in a snapshot, all values by key."},
    },
}
STREAM_PATH = "/api/v1/streams/{name}/{group}"


def own_paths(components: Components) -> dict[str, dict[str, Any]]:
    """Return the paths by template."""
    components.schemas["StreamFrame"] = FRAME
    return {
        "/health": {"get": _health()},
        "/ready": {"get": _ready()},
        "/metrics": {"get": _metrics()},
        STREAM_PATH: {"get": _stream()},
    }


def _health() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status", "parts"],
        "properties": {
            "status": {"enum": ["ok", "degraded"]},
            "parts": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    return {
        "operationId": "tidegate.health",
        "summary": "Which parts work",
        "responses": {
            "200": _json("All parts work.", schema),
            "503": _json("Some part is away.", schema),
        },
    }


def _ready() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string"}},
    }
    return {
        "operationId": "tidegate.ready",
        "summary": "Whether the process takes work",
        "responses": {
            "200": _json("It does.", schema),
            "503": _json("It does not, or not yet.", schema),
        },
    }


def _metrics() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "tidegate.metrics",
        "summary": "Metrics for Prometheus",
        "responses": {"200": {"description": "All metrics.", "content": text}},
    }


def _stream() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0}
    return {
        "operationId": "tidegate.stream",
        "summary": "Follow a group of a stream",
        "description": (
            "The snapshot, then every change, as server-sent events (`id` is the number) or, asked"
            " to upgrade, as texts of a WebSocket. Who comes again with the last number loses and"
            " repeats nothing."
        ),
        "parameters": [
            _path_parameter("name", "The stream, percent-encoded."),
            _path_parameter("group", "The group, percent-encoded."),
            {"name": "after", "in": "query", "schema": number, "description": "The last number."},
            {"name": "Last-Event-ID", "in": "header", "schema": number},
        ],
        "responses": {
            "101": {"description": "The connection is a WebSocket from here on."},
            "200": {
                "description": "Frames as events, until the client leaves.",
                "content": {
                    "text/event-stream": {"schema": {"$ref": "#/components/schemas/StreamFrame"}}
                },
            },
            **problems.references("400", "401", "403", "404", "503"),
        },
        "security": [{"bearer": []}, {"session": []}],
        "x-websocket": True,
    }


def _path_parameter(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {
        "name": name, "in": "path", "required": True, "schema": schema, "description": description,
    }  # fmt: skip


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
