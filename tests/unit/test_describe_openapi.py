"""The OpenAPI document says what the steps' configs say, and is one by the specification."""

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from scripts.pages import steps as all_steps
from tests.support.configs import api, surface
from tidegate.auth.guards import role, scope
from tidegate.auth.middleware import MIDDLEWARE_NAMES
from tidegate.describe.openapi import AUTHENTICATING, openapi
from tidegate.describe.surface import Surface, surface_of
from tidegate.errors import Misconfigured


class Part(msgspec.Struct):
    """A Struct within another."""

    number: int
    price: Decimal = Decimal(1)
    tags: tuple[str, ...] = ()


class Machine(msgspec.Struct):
    """A Struct that refers to another and to itself."""

    parts: list[Part]
    spare: "Machine | None" = None


class Order(BaseModel):
    """A pydantic model."""

    item: str
    count: int = 1


def _document(*configs: dict[str, Any]) -> dict[str, Any]:
    document = openapi(surface(*configs))
    validate(document)
    return document


def _operation(document: dict[str, Any], path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def test_openapi_of_all_steps_of_the_product_is_valid() -> None:
    """Every step that we ship is described, and the whole is valid OpenAPI 3.1."""
    steps = all_steps.found()

    document = openapi(surface_of(steps, version="1"))

    validate(document)
    described = {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert {step.config.name for step in steps if step.config.type == "api"} <= described


def test_openapi_is_the_same_for_steps_in_any_order() -> None:
    """The document is equal to the byte, whatever order the steps were found in."""
    steps = all_steps.found()
    before = json.dumps(openapi(surface_of(steps)))

    random.Random(1).shuffle(steps)

    assert json.dumps(openapi(surface_of(steps))) == before


def test_openapi_writes_paths_as_templates() -> None:
    """`:id` becomes `{id}`, the splat a parameter of its own, each a required text."""
    document = _document(
        api("Get", "/cart/:id/*", description="Gets it\n\nAll of it.", flows=["a"])
    )

    operation = _operation(document, "/cart/{id}/{splat}")

    assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
        ("id", "path", True),
        ("splat", "path", True),
    ]
    assert operation["summary"] == "Gets it"
    assert operation["tags"] == ["a"]
    assert document["tags"] == [{"name": "a"}]


def test_openapi_puts_paths_that_differ_in_names_only_into_one() -> None:
    """OpenAPI allows one template of a shape: the other step's name is said beside it."""
    document = _document(api("Get", "/a/:one"), api("Del", "/a/:two", method="DELETE"))

    assert set(document["paths"]["/a/{one}"]) == {"get", "delete"}
    [parameter] = _operation(document, "/a/{one}", "delete")["parameters"]
    assert parameter["description"] == "`two` in `pathParams`."


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "s": {}}},
        msgspec.defstruct("Page", [("n", int), ("s", str, "")]),
    ],
)
def test_openapi_takes_query_parameters_from_schemas(declared: Any) -> None:
    """Each property is a parameter; those that are required say so."""
    document = _document(api("Find", "/find", queryParams=declared))

    found = {p["name"]: p for p in _operation(document, "/find")["parameters"]}

    assert (found["n"]["required"], found["s"]["required"]) == (True, False)
    assert found["n"]["schema"]["type"] == "integer"
    assert "422" in _operation(document, "/find")["responses"]


def test_openapi_takes_query_parameters_from_a_list() -> None:
    """A list documents names, with or without a description."""
    listed = ["page", {"name": "sort", "description": "By what"}]
    document = _document(api("Find", "/find", queryParams=listed))

    page, sort = _operation(document, "/find")["parameters"]

    assert (page["name"], sort["name"], sort["description"]) == ("page", "sort", "By what")


def test_openapi_lifts_structs_and_models_into_components() -> None:
    """What Structs and models refer to is in the components once, and is referred to."""
    document = _document(
        api("AddMachine", "/machines", method="POST", bodySchema=Machine,
            responseSchema={201: Machine}),
        api("AddPart", "/parts", method="POST", bodySchema=Part, responseSchema={201: Order}),
    )  # fmt: skip

    body = _operation(document, "/machines", "post")["requestBody"]
    schemas = document["components"]["schemas"]

    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Machine"}
    assert sorted(schemas) == ["Machine", "Part", "Problem", "StreamFrame"]
    assert schemas["Machine"]["properties"]["parts"]["items"] == {
        "$ref": "#/components/schemas/Part"
    }
    assert schemas["Part"]["properties"]["price"]["type"] == ["number", "string"]
    assert schemas["Part"]["properties"]["tags"]["default"] == []


def test_openapi_keeps_definitions_of_one_name_apart() -> None:
    """Two schemas that call different things `Item` get two components; equal ones share."""

    def body(kind: str) -> dict[str, Any]:
        return {"$ref": "#/$defs/Item", "$defs": {"Item": {"type": kind}}}

    document = _document(
        api("A", "/a", method="POST", bodySchema=body("object")),
        api("B", "/b", method="POST", bodySchema=body("array")),
        api("C", "/c", method="POST", bodySchema=body("object")),
    )

    refs = {
        path: _operation(document, path, "post")["requestBody"]["content"]["application/json"][
            "schema"
        ]["$ref"].rpartition("/")[2]
        for path in ("/a", "/b", "/c")
    }
    assert refs == {"/a": "Item", "/b": "Item_2", "/c": "Item"}
    assert document["components"]["schemas"]["Item_2"] == {"type": "array"}


def test_openapi_moves_references_and_leaves_data_alone() -> None:
    """A schema that refers to itself becomes a component; data and names are no references."""
    tree = {
        "type": "object",
        "properties": {
            "child": {"$ref": "#"},
            "name": {"$ref": "#/properties/label"},
            "label": {"type": "string", "default": "x"},
            "$ref": {"type": "string"},
            "default": {"$ref": "#/properties/label"},
            "kind": {"const": {"$ref": "#/nowhere"}},
        },
    }
    document = _document(api("Plant", "/trees", method="POST", bodySchema=tree))

    kept = document["components"]["schemas"]["PlantBody"]["properties"]

    assert kept["child"] == {"$ref": "#/components/schemas/PlantBody"}
    assert kept["name"] == {"$ref": "#/components/schemas/PlantBody/properties/label"}
    assert kept["$ref"] == {"type": "string"}
    assert kept["default"] == kept["name"]
    assert kept["kind"] == {"const": {"$ref": "#/nowhere"}}


def test_openapi_says_who_may_call() -> None:
    """A named middleware of auth brings security, 401 and 403, and what it asks for."""
    guarded = ["authMiddleware", role("billing"), scope("bills:read")]
    document = _document(api("Open", "/open"), api("Shut", "/shut", middleware=guarded))

    opened, shut = _operation(document, "/open"), _operation(document, "/shut")

    assert "security" not in opened
    assert not {"401", "403"} & set(opened["responses"])
    assert shut["security"] == [{"bearer": []}, {"session": []}]
    assert {"401", "403"} <= set(shut["responses"])
    assert shut["x-asks-for"] == ["role(billing)", "scope(bills:read)"]


def test_openapi_knows_every_middleware_that_asks_who_calls() -> None:
    """The named middlewares are those of auth: all of them ask."""
    assert sorted(AUTHENTICATING) == sorted(MIDDLEWARE_NAMES)


def test_openapi_joins_answers_of_handler_and_runtime() -> None:
    """A 404 that the handler answers itself stands beside the runtime's problem document."""
    answers = {200: {"type": "object"}, 404: {"type": "string"}, 204: None}
    document = _document(api("Get", "/a/:id", responseSchema=answers))

    responses = _operation(document, "/a/{id}")["responses"]

    assert set(responses["404"]["content"]) == {"application/json", "application/problem+json"}
    assert "content" not in responses["204"]
    assert list(responses) == sorted(responses)


def test_openapi_describes_websockets() -> None:
    """A WebSocket step answers 101, and 426 to who does not upgrade."""
    operation = _operation(_document(api("Talk", "/talk", websocket=True)), "/talk")

    assert operation["x-websocket"] is True
    assert {"101", "426"} <= set(operation["responses"])


def test_openapi_refuses_a_type_without_json_schema() -> None:
    """A Struct with a field that JSON cannot hold is named, not passed over."""
    odd = msgspec.defstruct("Odd", [("path", Path)])
    broken: Surface = surface(api("A", "/a", method="POST", bodySchema=odd))

    with pytest.raises(Misconfigured, match="has no JSON Schema"):
        openapi(broken)


def test_openapi_writes_patterns_as_ecmascript_has_them() -> None:
    r"""`\Z`, which only Python knows, becomes `$`."""
    named = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\Z")]
    body = msgspec.defstruct("Named", [("name", named)])
    document = _document(api("A", "/a", method="POST", bodySchema=body))

    name = document["components"]["schemas"]["Named"]["properties"]["name"]

    assert name["pattern"] == "^[a-z]+$"
