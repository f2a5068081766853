"""The OpenAPI 3.1 document of api steps, and of what the runtime itself answers. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.auth.session import COOKIE
from tidegate.contract import StepConfig
from tidegate.describe import problems
from tidegate.describe.components import Components
from tidegate.describe.own_paths import own_paths
from tidegate.describe.parameters import parameters_of
from tidegate.describe.surface import (
    Surface,
    middleware_names,
    tags_of,
    template_of,
    texts_of,
)

AUTHENTICATING = (
    "adminMiddleware",
    "authMiddleware",
    "deviceMiddleware",
    "pageMiddleware",
    "surfaceMiddleware",
    "tenantMiddleware",
)
"""The named middlewares that ask who is calling."""
_PAGE = "pageMiddleware"
_JSON = "application/json"
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The administrator's token, an access token, an API key, a device's token.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A login in a browser; what changes something must come from our pages.",
    },
}


def openapi(surface: Surface) -> dict[str, Any]:
    """Return the document; equal steps give an equal one, in whatever order they were found.

    Raises:
        Misconfigured: a step declares a schema that is none.
    """
    steps = surface.of_type("api")
    components = Components({"Problem": problems.SCHEMA})
    paths: dict[str, dict[str, Any]] = own_paths(components)
    shared = _shared_templates(steps)
    for step in steps:
        operation = _operation(step, components, shared[_shape(step.path)])
        paths.setdefault(shared[_shape(step.path)][0], {})[step.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": surface.info,
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "tags": tags_of(steps),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "responses": problems.components(),
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _shared_templates(steps: Sequence[StepConfig]) -> Mapping[str, tuple[str, list[str]]]:
    """Return one template for paths that differ in the names of parameters only."""
    paths = sorted({step.path for step in steps}, reverse=True)
    return {_shape(path): template_of(path) for path in paths}


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", template_of(path)[0])


def _operation(
    step: StepConfig, components: Components, template: tuple[str, list[str]]
) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": step.name, **texts_of(step)}
    if step.flows:
        operation["tags"] = list(step.flows)
    parameters = parameters_of(step, components, template[1])
    if parameters:
        operation["parameters"] = parameters
    if step.body_schema is not None:
        schema = components.of(step.body_schema, owner=f"{step.name}Body")
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    operation["responses"] = _responses(step, components)
    operation.update(_security(step))
    if step.websocket:
        operation["x-websocket"] = True
    if step.emits:
        operation["x-emits"] = list(step.emits)
    return operation


def _responses(step: StepConfig, components: Components) -> dict[str, Any]:
    answers = _answers(step, components)
    refusals = problems.references(*_refusals(step))
    for status in answers.keys() & refusals.keys():
        # The handler answers it itself, and the runtime may, too.
        answers[status]["content"].update(problems.response(status)["content"])
    return dict(sorted({**refusals, **answers}.items()))


def _answers(step: StepConfig, components: Components) -> dict[str, Any]:
    if step.websocket:
        return {"101": {"description": "The connection is a WebSocket from here on."}}
    answers = {
        str(status): _answer(str(status), declared, step, components)
        for status, declared in dict(step.response_schema or {}).items()
    }
    if not any(status.startswith("2") for status in answers):
        answers["2XX"] = {"description": "What the handler answers."}
    if _PAGE in middleware_names(step):
        answers.setdefault("303", {"description": "To the page that asks who is calling."})
    return answers


def _answer(
    status: str, declared: object, step: StepConfig, components: Components
) -> dict[str, Any]:
    owner = f"{step.name}Answer{status}"
    schema = components.of(declared, owner=owner, answers=True)
    description = schema.get("description") if isinstance(schema, dict) else None
    answer: dict[str, Any] = {"description": description or "What the handler answers."}
    if declared is not None or status.startswith("4"):
        answer["content"] = {_JSON: {"schema": schema}}
    return answer


def _refusals(step: StepConfig) -> list[str]:
    statuses = ["400", "4XX", "500", "503"]
    if _asks_who(step):
        statuses += ["403"] if middleware_names(step) == [_PAGE] else ["401", "403"]
    if ":" in step.path or step.path.endswith("*"):
        statuses.append("404")
    if step.body_schema is not None:
        statuses += ["408", "413"]
    if step.body_schema is not None or step.query_params is not None:
        statuses.append("422")
    return [*statuses, "426"] if step.websocket else statuses


def _security(step: StepConfig) -> dict[str, Any]:
    if not _asks_who(step):
        return {}
    names = middleware_names(step)
    asked = [name for name in names if name not in AUTHENTICATING]
    found: dict[str, Any] = {"security": [{"bearer": []}, {"session": []}], "x-who": names}
    if asked:
        found["x-asks-for"] = asked
    return found


def _asks_who(step: StepConfig) -> bool:
    return any(name in AUTHENTICATING for name in middleware_names(step))
