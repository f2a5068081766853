"""Whose a topic is: by the rules of `[[ingest.topics]]`, else by its own levels. Pure."""

from typing import NamedTuple

from cloud.settings import Ingest as Settings
from wire.codecs.formats import Format, Formats
from wire.ids import DeviceKey, TenantId, tenant_id
from wire.patterns import Pattern
from wire.topics import Channel, parse_topic


class Owner(NamedTuple):
    """Whose a topic is, what comes on it, and in which format if the topic says so."""

    device: DeviceKey
    channel: Channel
    format: Format | None


class TopicRules:
    """The rules for topics that are not ours, in their order."""

    def __init__(self, settings: Settings, formats: Formats) -> None:
        """Read them; raise `Malformed` for one that is wrong."""
        self._rules: list[tuple[Pattern, Format]] = []
        for rule in settings.topics:
            pattern, form = Pattern(rule.topic, _tenant(rule.tenant)), formats.named(rule.format)
            if form.check_names is not None:
                form.check_names(dict.fromkeys(pattern.names, ""))
            self._rules.append((pattern, form))

    @property
    def filters(self) -> list[str]:
        """Return what is subscribed to because of them."""
        return [pattern.topic_filter for pattern, _ in self._rules]

    def owner(self, topic: str) -> Owner:
        """Return whose a topic is; raise `Malformed` when it is nobody's."""
        for pattern, form in self._rules:
            match = pattern.match(topic)
            if match is not None:
                return Owner(match.device, "telemetry", form.for_topic(match.names))
        parsed = parse_topic(topic)
        return Owner(parsed.device, parsed.channel, None)


def _tenant(name: str | None) -> TenantId | None:
    return None if name is None else tenant_id(name)
