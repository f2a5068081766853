"""GET /api/v1/steps: which steps this process runs."""

from typing import Any

from tidegate import Context
from tidegate.definition.normalise import outline
from tidegate.engine.engine import Engine
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ListSteps",
    "description": "List the steps that are loaded.",
    "method": "GET",
    "path": "/api/v1/steps",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(_request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return every step with the keys that its type uses."""
    steps = [outline(step.config) for step in engine.steps.values()]
    return {"status": 200, "body": {"steps": sorted(steps, key=lambda step: step["name"])}}
