"""Schemathesis against a server of varied steps: what it makes up finds no crash and no lie."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.serving import served_steps
from tidegate.contract import StepConfig
from tidegate.engine.engine import Engine
from tidegate.engine.schemas import json_schema_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = {
    "add_item_step": """
    config = {"type": "api", "name": "AddItem", "method": "POST", "path": "/items",
        "bodySchema": {"type": "object", "required": ["name", "price"], "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 50},
            "price": {"type": "number", "minimum": 0}, "tags": {"type": "array",
            "items": {"type": "string"}}}, "additionalProperties": False},
        "responseSchema": {201: {"type": "object", "required": ["id"]}}}
    async def handler(req, ctx):
        n = await ctx.state.increment("items", "last")
        await ctx.state.set("items", f"i{n}", req.body)
        await ctx.emit("item.added", {"id": n, **req.body})
        return {"status": 201, "body": {"id": f"i{n}"}}
    """,
    "get_item_step": """
    from tidegate import HTTPError
    config = {"type": "api", "name": "GetItem", "path": "/items/:id", "responseSchema": {
        200: {"type": "object"}, 404: {"type": "object"}}}
    async def handler(req, ctx):
        item = await ctx.state.get("items", req.pathParams["id"])
        if not isinstance(item, dict):
            raise HTTPError(404, "there is no such item")
        return item
    """,
    "put_item_step": """
    config = {"type": "api", "name": "PutItem", "method": "PUT", "path": "/items/:id",
        "bodySchema": {"type": "object", "maxProperties": 5}, "responseSchema": {204: {}}}
    async def handler(req, ctx):
        await ctx.state.set("items", req.path_params["id"], req.body)
    """,
    "delete_item_step": """
    config = {"type": "api", "name": "DeleteItem", "method": "DELETE", "path": "/items/:id",
              "responseSchema": {204: {}}}
    async def handler(req, ctx):
        await ctx.state.delete("items", req.path_params["id"])
    """,
    "list_step": """
    config = {"type": "api", "name": "ListItems", "path": "/items", "queryParams": {
        "type": "object", "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "deep": {"type": "boolean"}, "below": {"type": "number"}}},
        "responseSchema": {200: {"type": "object", "required": ["limit"]}}}
    async def handler(req, ctx):
        return {"limit": req.query_params.get("limit", 10), "query": req.query_params}
    """,
    "struct_step": """
    from typing import Annotated
    import msgspec
    class Order(msgspec.Struct, forbid_unknown_fields=True):
        item: str
        count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    config = {"type": "api", "name": "OrderItem", "method": "POST", "path": "/orders",
              "bodySchema": Order, "responseSchema": {202: Order}}
    async def handler(req, ctx):
        return (202, req.body)
    """,
    "any_step": """
    config = {"type": "api", "name": "AnyBody", "method": "PATCH", "path": "/any",
              "bodySchema": {}, "responseSchema": {200: {}}}
    async def handler(req, ctx):
        return {"status": 200, "body": {"got": req.body}}
    """,
    "text_step": """
    config = {"type": "api", "name": "Text", "path": "/texts/:name/of/:kind",
              "responseSchema": {200: {"type": "string"}}}
    async def handler(req, ctx):
        return {"status": 200, "body": req.pathParams["name"] + "|" + req.pathParams["kind"]}
    """,
    "state_step": """
    config = {"type": "api", "name": "Count", "method": "POST", "path": "/count/:key",
              "responseSchema": {200: {"type": "object"}}}
    async def handler(req, ctx):
        return {"n": await ctx.state.increment("counts", req.pathParams["key"])}
    """,
    "lines_step": """
    config = {"type": "api", "name": "Lines", "path": "/lines", "responseSchema": {200: {}},
        "queryParams": {"type": "object", "required": ["n"], "properties": {
            "n": {"type": "integer", "minimum": 0, "maximum": 20}}}}
    async def handler(req, ctx):
        for n in range(req.query_params["n"]):
            yield {"n": n}
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "path": "/private", "responseSchema": {
        200: {"type": "object"}, 401: {}}, "middleware": ["authMiddleware"]}
    async def handler(req, ctx):
        return {"user": req.user["userId"]}
    """,
    "plain_step": """
    config = {"type": "api", "name": "Plain", "path": "/plain", "responseSchema": {204: {}}}
    def handler(req, ctx):
        return None
    """,
}
_PROBLEMS = {"400": "malformed", "408": "too slow", "422": "does not fit"}


def _document(engine: Engine) -> dict[str, Any]:
    """Return the steps as OpenAPI, from what their configs say."""
    paths: dict[str, dict[str, Any]] = {}
    for step in engine.steps.values():
        config = step.config
        parts = [f"{{{p[1:]}}}" if p.startswith(":") else p for p in config.path.split("/")]
        paths.setdefault("/".join(parts), {})[config.method.lower()] = _operation(config)
    return {"openapi": "3.1.0", "info": {"title": "steps", "version": "1"}, "paths": paths}


def _operation(config: StepConfig) -> dict[str, Any]:
    names = [part[1:] for part in config.path.split("/") if part.startswith(":")]
    text = {"type": "string", "minLength": 1}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in names
    ]
    query: Mapping[str, Any] = config.query_params or {}
    for name, schema in query.get("properties", {}).items():
        required = name in query.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, "schema": schema})
    answers: dict[str, Any] = {status: {"description": text} for status, text in _PROBLEMS.items()}
    for status in config.response_schema or {200: {}}:
        answers[str(status)] = {"description": "as the step says"}
    operation: dict[str, Any] = {"parameters": parameters, "responses": answers}
    if config.body_schema is not None:
        schema = json_schema_of(config.body_schema)
        if "$ref" in schema:
            schema = next(iter(schema["$defs"].values()))
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """No 500, no undocumented status, nothing invalid accepted, nothing valid refused."""
    async with served_steps(tmp_path, STEPS, check_answers=True) as (port, engine):
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(_document(engine)))
        with anyio.fail_after(280):
            ran = await anyio.run_process(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run", str(document)),
                    *("--url", f"http://127.0.0.1:{port}", "--max-examples", "30"),
                    *("--checks", "all", "--phases", "examples,coverage,fuzzing"),
                    *("--seed", "1", "--no-color"),
                ],
                check=False,
                cwd=tmp_path,
            )

    assert ran.returncode == 0, ran.stdout.decode()[-8000:] + ran.stderr.decode()[-2000:]
