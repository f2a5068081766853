"""Path and query parameters of api steps, as OpenAPI has them. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from tidegate.contract import StepConfig
from tidegate.describe.components import Components
from tidegate.describe.surface import PARAMETER

_PLACE = "#/components/schemas/"


def parameters_of(
    step: StepConfig, components: Components, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the parameters of a step whose path has these names in the document."""
    return [*_of_path(step, names), *_of_query(step, components)]


def _of_path(step: StepConfig, names: Sequence[str]) -> Iterable[dict[str, Any]]:
    own = PARAMETER.findall(step.path)
    for position, name in enumerate(names):
        parameter = {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        if position >= len(own):
            parameter["description"] = "The rest of the path; `0` in `pathParams`."
        elif own[position] != name:
            parameter["description"] = f"`{own[position]}` in `pathParams`."
        yield parameter


def _of_query(step: StepConfig, components: Components) -> Iterable[dict[str, Any]]:
    declared = step.query_params
    if declared is None:
        return []
    if isinstance(declared, list | tuple):
        return [_listed(item) for item in declared]
    schema = components.of(declared, owner=f"{step.name}Query")
    while isinstance(schema, dict) and schema.get("$ref", "").startswith(_PLACE):
        schema = components.schemas[schema["$ref"].removeprefix(_PLACE)]
    required = schema.get("required", ())
    return [
        _parameter(name, kind, required=name in required)
        for name, kind in schema.get("properties", {}).items()
    ]


def _parameter(name: str, kind: Any, *, required: bool) -> dict[str, Any]:
    parameter = {"name": name, "in": "query", "required": required, "schema": kind}
    if isinstance(kind, dict) and "description" in kind:
        parameter["description"] = kind["description"]
    return parameter


def _listed(item: Any) -> dict[str, Any]:
    """Return a parameter that is documented only: a name, or a dict with name and description."""
    described = item if isinstance(item, dict) else {"name": str(item)}
    parameter = _parameter(str(described.get("name", "")), {"type": "string"}, required=False)
    if described.get("description"):
        parameter["description"] = described["description"]
    return parameter
