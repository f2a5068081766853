"""Topics that are not ours: which device a message on them belongs to. Pure.

A pattern names levels: `tele/{device}/SENSOR`, `sites/{tenant}/{device}/#`. What else stands in
braces is handed to the format that decodes the payload; so is, as `#`, what `#` stands for.
`+` and `#` are as in MQTT.
"""

import re
from typing import NamedTuple

from wire.errors import Malformed
from wire.ids import DeviceKey, TenantId, device_id, tenant_id

_NAMED = re.compile(r"\{([a-z_]+)\}")
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
        names = [name.group(1) for name in map(_NAMED.fullmatch, self._levels) if name]
        for level in self._levels:
            if not _NAMED.fullmatch(level) and not _is_plain(level):
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
        named = {found.group(1) for found in map(_NAMED.fullmatch, self._levels) if found}
        rest = {REST} if self._levels[-1] == REST else set()
        return frozenset(named - {_DEVICE, _TENANT} | rest)

    @property
    def topic_filter(self) -> str:
        """Return the MQTT filter to subscribe to."""
        return "/".join("+" if _NAMED.fullmatch(level) else level for level in self._levels)

    def match(self, topic: str) -> Match | None:
        """Return whose a topic is, None when the pattern does not match.

        Raises:
            Malformed: it matches, but a name in it cannot be one of ours.
        """
        found: dict[str, str] = {}
        levels = topic.split("/")
        for index, wanted in enumerate(self._levels):
            if wanted == REST:
                return self._matched({**found, REST: "/".join(levels[index:])})
            if index >= len(levels):
                return None
            named = _NAMED.fullmatch(wanted)
            if named:
                found[named.group(1)] = levels[index]
            elif wanted not in ("+", levels[index]):
                return None
        return self._matched(found) if len(levels) == len(self._levels) else None

    def _matched(self, found: dict[str, str]) -> Match:
        tenant = tenant_id(found.pop(_TENANT)) if self._tenant is None else self._tenant
        return Match(DeviceKey(tenant, device_id(found.pop(_DEVICE))), found)


def _is_plain(level: str) -> bool:
    return level in ("+", "#") or not set(level) & set("+#{}")
