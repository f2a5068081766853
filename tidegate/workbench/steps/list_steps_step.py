"""GET /api/v1/steps: which steps this process runs."""

from typing import Any

import msgspec

from tidegate import Context
from tidegate.contract import StepConfig
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
_SHOWN = ("type", "name", "description", "flows", "emits", "method", "path", "subscribes", "cron")


async def handler(_request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return every step with the keys that its type uses."""
    steps = [_shown(step.config) for step in engine.steps.values()]
    return {"status": 200, "body": {"steps": sorted(steps, key=lambda step: step["name"])}}


def _shown(config: StepConfig) -> dict[str, Any]:
    fields = msgspec.structs.asdict(config)
    return {key: fields[key] for key in _SHOWN if fields[key] or key in ("type", "name")}
