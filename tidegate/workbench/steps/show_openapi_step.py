"""GET /openapi.json: what this system says of itself."""

from importlib.metadata import version
from typing import Any

from tidegate import Context
from tidegate.describe.openapi import openapi
from tidegate.describe.surface import surface_of
from tidegate.engine.engine import Engine
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ShowOpenApi",
    "description": "Return the OpenAPI 3.1 document of the steps that are loaded.",
    "method": "GET",
    "path": "/openapi.json",
    "middleware": ["surfaceMiddleware"],
    "emits": [],
}


async def handler(_request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return it; who calls must be known, except in `tidegate dev`."""
    surface = surface_of(engine.steps.values(), version=version("tidegate"))
    return {"status": 200, "body": openapi(surface)}
