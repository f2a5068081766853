"""The AsyncAPI 3.0 document: events, messages of devices, streams, WebSockets. Pure."""

from typing import Any

from tidegate.contract import StepConfig
from tidegate.describe.channels import Channel, Channels
from tidegate.describe.components import Components
from tidegate.describe.own_paths import FRAME, STREAM_PATH
from tidegate.describe.surface import Surface, template_of, texts_of
from tidegate.describe.topics import may_meet

_MQTT_BINDING = "0.2.0"
_ABOUT = (
    "Events travel between the steps of one system, through its engine; MQTT filters, streams and"
    " WebSockets are what others reach. `send` is what the system sends."
)


def asyncapi(surface: Surface) -> dict[str, Any]:
    """Return the document; equal steps give an equal one, in whatever order they were found.

    Raises:
        Misconfigured: a step declares a schema that is none.
    """
    document = _Document(surface)
    for step in surface.steps:
        document.add(step)
    document.add_streams()
    return document.whole()


class _Document:
    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._components = Components({"StreamFrame": FRAME})
        self._channels = Channels()
        self._operations: dict[str, Any] = {}

    def add(self, step: StepConfig) -> None:
        """Describe what a step receives and sends."""
        if step.type == "noop":
            return
        for topic in step.subscribes:
            self._receive_events(step, topic)
        if step.type == "mqtt":
            self._receive_messages(step)
        if step.websocket:
            self._talk(step)
        for topic in step.emits or ():
            self._send_events(step, topic)

    def add_streams(self) -> None:
        """Describe the streams, whose names are made up at run time."""
        frame = {"$ref": "#/components/schemas/StreamFrame"}
        channel = self._channels.at(STREAM_PATH, "stream", names=["name", "group"])
        channel.bindings["ws"] = {"method": "GET"}
        channel.messages["StreamFrame"] = {"contentType": "application/json", "payload": frame}
        self._operate("send", "stream", channel, ["StreamFrame"], summary="Changes of a stream")

    def whole(self) -> dict[str, Any]:
        """Return the document."""
        channels = self._channels.shown()
        return {
            "asyncapi": "3.0.0",
            "info": {**self._surface.info, "description": _ABOUT},
            "defaultContentType": "application/json",
            "channels": channels,
            "operations": dict(sorted(self._operations.items())),
            "components": {"schemas": dict(sorted(self._components.schemas.items()))},
        }

    def _receive_events(self, step: StepConfig, topic: str) -> None:
        channel = self._channels.of_topic(topic)
        channel.messages[step.name] = self._message(step)
        self._operate("receive", step.name, channel, [step.name], **texts_of(step), **_tags(step))

    def _message(self, step: StepConfig) -> dict[str, Any]:
        message: dict[str, Any] = {"title": f"As {step.name} takes it"}
        if step.input is not None:
            message["payload"] = self._components.of(step.input, owner=f"{step.name}Input")
        return message

    def _receive_messages(self, step: StepConfig) -> None:
        channel = self._channels.of_filter(step.topic)
        channel.messages.setdefault("message", {"title": "What a client publishes"})
        binding = {"mqtt": {"qos": step.qos, "bindingVersion": _MQTT_BINDING}}
        self._operate(
            "receive", step.name, channel, ["message"],
            **texts_of(step), **_tags(step), bindings=binding,
        )  # fmt: skip

    def _talk(self, step: StepConfig) -> None:
        address, names = template_of(step.path)
        channel = self._channels.at(address, step.name, names=names)
        channel.bindings["ws"] = {"method": "GET"}
        channel.messages["message"] = {"title": "A message of the WebSocket"}
        for action in ("receive", "send"):
            self._operate(action, step.name, channel, ["message"], **texts_of(step), **_tags(step))

    def _send_events(self, step: StepConfig, topic: str) -> None:
        channel = self._channels.of_topic(topic)
        hearers = [
            other.name
            for other in self._surface.steps
            if any(may_meet(topic, pattern) for pattern in other.subscribes)
        ]
        extra = {"x-heard-by": hearers} if hearers else {}
        self._operate("send", step.name, channel, None, **_tags(step), **extra)

    def _operate(
        self, action: str, step: str, channel: Channel, messages: list[str] | None, **more: Any
    ) -> None:
        """Add an operation; its messages are those named, or all that its channel has in the end.

        Raises:
            KeyError: a message is not in the channel.
        """
        reference = f"#/channels/{channel.id}"
        operation: dict[str, Any] = {"action": action, "channel": {"$ref": reference}, **more}
        if messages is not None:
            operation["messages"] = [
                {"$ref": f"{reference}/messages/{channel.message_id(name)}"} for name in messages
            ]
        self._operations[f"{step}.{action}.{channel.id}"] = operation


def _tags(step: StepConfig) -> dict[str, Any]:
    return {"tags": [{"name": flow} for flow in step.flows]} if step.flows else {}
