"""The AsyncAPI document says what the steps' configs say, and is one by the specification."""

import json
import os
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from scripts.pages import steps as all_steps
from tests.support.configs import api, event, surface
from tidegate.describe.asyncapi import asyncapi
from tidegate.describe.surface import surface_of

_SCHEMA = Path(__file__).parents[1] / "node" / "node_modules" / "@asyncapi" / "specs" / "schemas"


class Reading(msgspec.Struct):
    """An event's data."""

    value: float


@pytest.fixture(scope="module")
def specification() -> Any:
    """Return AsyncAPI's own JSON Schema, which scripts/node-packages installs."""
    file = _SCHEMA / "3.0.0-without-$id.json"
    if not file.exists():
        reason = "@asyncapi/specs is not installed: run scripts/node-packages"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return jsonschema_rs.validator_for(json.loads(file.read_text("utf-8")))


def _document(*configs: dict[str, Any]) -> dict[str, Any]:
    document = asyncapi(surface(*configs))
    assert _dangling(document) == []
    return document


def _dangling(document: dict[str, Any]) -> list[str]:
    """Return the references that lead nowhere."""
    missing = []
    for ref in _references(document):
        place: Any = document
        for part in ref.removeprefix("#/").split("/"):
            place = place.get(part) if isinstance(place, dict) else None
        if place is None:
            missing.append(ref)
    return missing


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [ref for item in node for ref in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [ref for value in node.values() for ref in _references(value)]


VARIED = (
    api("Order", "/orders/:id", method="POST", emits=["order.placed", "log.*"]),
    api("Talk", "/talk/:room", websocket=True, emits=[]),
    event("Pack", "order.placed", "order.*", input=Reading, emits=["order.packed"], flows=["shop"]),
    event("Bill", "order.placed", input={"type": "object"}, emits=[]),
    {"type": "cron", "name": "Beat", "cron": "* * * * *", "emits": ["beat.done"]},
    {"type": "mqtt", "name": "Listen", "topic": "site/+/sensor/#", "qos": 0, "emits": []},
    {"type": "noop", "name": "Outside", "subscribes": ["order.packed"]},
)


def test_asyncapi_is_valid(specification: Any) -> None:
    """Steps of all types, and those of the product, give documents that the schema accepts."""
    varied = _document(*VARIED)
    ours = asyncapi(surface_of(all_steps.found(), version="1"))

    assert [error.message for error in specification.iter_errors(varied)] == []
    assert [error.message for error in specification.iter_errors(ours)] == []
    assert _dangling(ours) == []


def test_asyncapi_specification_bites(specification: Any) -> None:
    """The schema that we hold it against refuses a document without channels' addresses."""
    document = _document(*VARIED)
    document["channels"]["order.placed"]["address"] = 5

    assert not specification.is_valid(document)


def test_asyncapi_is_the_same_for_steps_in_any_order() -> None:
    """The document is equal to the byte, whatever order the steps were found in."""
    steps = all_steps.found()
    before = json.dumps(asyncapi(surface_of(steps)))

    random.Random(1).shuffle(steps)

    assert json.dumps(asyncapi(surface_of(steps))) == before


def test_asyncapi_has_a_channel_for_each_topic() -> None:
    """Who emits sends, who subscribes receives; the hearers' schemas are the messages."""
    document = _document(*VARIED)
    channel = document["channels"]["order.placed"]
    operations = document["operations"]

    assert channel["address"] == "order.placed"
    assert channel["messages"]["Pack"]["payload"] == {"$ref": "#/components/schemas/Reading"}
    assert channel["messages"]["Bill"]["payload"] == {"type": "object"}
    assert operations["Order.send.order.placed"]["action"] == "send"
    assert operations["Order.send.order.placed"]["x-heard-by"] == ["Bill", "Pack"]
    assert operations["Bill.receive.order.placed"]["messages"] == [
        {"$ref": "#/channels/order.placed/messages/Bill"}
    ]
    assert operations["Pack.receive.order.placed"]["tags"] == [{"name": "shop"}]


def test_asyncapi_writes_wildcards_as_parameters() -> None:
    """`a.*` and MQTT's `+` and `#` are parameters of the address; the filter stands beside."""
    channels = _document(*VARIED)["channels"]
    by_address = {channel["address"]: channel for channel in channels.values()}

    events, messages = by_address["order.{segment}"], by_address["site/{level2}/sensor/{rest}"]

    assert (events["x-pattern"], set(events["parameters"])) == ("order.*", {"segment"})
    assert messages["x-filter"] == "site/+/sensor/#"
    assert set(messages["parameters"]) == {"level2", "rest"}


def test_asyncapi_binds_mqtt_steps() -> None:
    """An mqtt step receives with its quality of service."""
    operations = _document(*VARIED)["operations"]

    [listen] = [operation for name, operation in operations.items() if name.startswith("Listen.")]

    assert listen["action"] == "receive"
    assert listen["bindings"]["mqtt"]["qos"] == 0


def test_asyncapi_keeps_names_that_look_alike_apart() -> None:
    """Topics whose keys would be equal get two channels."""
    document = _document(event("A", "a b", emits=[]), event("B", "a_b", emits=[]))

    addresses = {channel["address"] for channel in document["channels"].values()}

    assert {"a b", "a_b"} <= addresses
