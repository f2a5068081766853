"""Topics that are not ours: which device a message on them belongs to. Pure.

A pattern names levels: `tele/{device}/SENSOR`, `sites/{tenant}/{device}/#`. What else stands in
braces is handed to the format that decodes the payload; so is, as `#`, what `#` stands for.
`+` and `#` are as in MQTT.
"""

import re
from typing import NamedTuple

from wire.errors import Malformed
from wire.ids import DeviceKey, TenantId, device_id, tenant_id

NAMED = r"\{([a-z_][a-z0-9_]*)\}"
"""A name in braces, here and in the rules of mapping files: what it stands for is kept."""

_LEVEL = re.compile(NAMED)
_DEVICE, _TENANT = "device", "tenant"
REST = "#"


class Match(NamedTuple):
    """Whose a message is, and what the pattern's other names stand for."""

    device: DeviceKey
    names: dict[str, str]


class Pattern:
    """A checked pattern; `tenant` is whose its devices are when the pattern does not say it."""

    def __init__(self, text: str, tenant: TenantId | None = None) -> None:
        """Parse a pattern.

        Raises:
            Malformed: it names no device, or names its tenant twice or never, or is no filter.
        """
        self.text = text
        self._levels = text.split("/")
        self._tenant = tenant
        self._named = [_name_of(level) for level in self._levels]
        names = [name for name in self._named if name]
        for level, name in zip(self._levels, self._named, strict=True):
            if name is None and not _is_plain(level):
                raise Malformed(f"topic {text!r}: {level!r} is neither a level nor {{name}}")
        if REST in self._levels[:-1]:
            raise Malformed(f"topic {text!r}: # stands for the rest, so at the end only")
        if names.count(_DEVICE) != 1 or len(set(names)) != len(names):
            raise Malformed(f"topic {text!r}: write {{device}} once, and no name twice")
        if (_TENANT in names) == (tenant is not None):
            raise Malformed(f"topic {text!r}: give tenant = … or {{tenant}} in it, one of them")

    @property
    def names(self) -> frozenset[str]:
        """Return what a match gives names to, besides device and tenant."""
        named = {name for name in self._named if name}
        rest = {REST} if self._levels[-1] == REST else set()
        return frozenset(named - {_DEVICE, _TENANT} | rest)

    @property
    def topic_filter(self) -> str:
        """Return the MQTT filter to subscribe to."""
        levels = zip(self._levels, self._named, strict=True)
        return "/".join("+" if name else level for level, name in levels)

    def match(self, topic: str) -> Match | None:
        """Return whose a topic is, None when the pattern does not match.

        Raises:
            Malformed: it matches, but a name in it cannot be one of ours.
        """
        found: dict[str, str] = {}
        levels = topic.split("/")
        for index, (wanted, name) in enumerate(zip(self._levels, self._named, strict=True)):
            if wanted == REST:
                return self._matched({**found, REST: "/".join(levels[index:])})
            if index >= len(levels):
                return None
            if name:
                found[name] = levels[index]
            elif wanted not in ("+", levels[index]):
                return None
        return self._matched(found) if len(levels) == len(self._levels) else None

    def _matched(self, found: dict[str, str]) -> Match:
        tenant = tenant_id(found.pop(_TENANT)) if self._tenant is None else self._tenant
        return Match(DeviceKey(tenant, device_id(found.pop(_DEVICE))), found)


def _name_of(level: str) -> str | None:
    found = _LEVEL.fullmatch(level)
    return None if found is None else found.group(1)


def _is_plain(level: str) -> bool:
    return level in ("+", "#") or not set(level) & set("+#{}")
