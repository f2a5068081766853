"""What we subscribe to, and how: alone or as one of a group that shares the work. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wire.errors import Malformed
from wire.topics import all_devices

# How many messages the broker has dropped since its start, as Mosquitto and others tell it.
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
_MAX_GROUP_CHARS = 64
_FILTER_SYNTAX = frozenset("/+#$")


class Filter(NamedTuple):
    """One subscription.

    `wants_retained`: what the broker has retained is sent to us at every connect. Without a
    filter that `is_needed` we cannot work; of the others a refusal is only noted.
    """

    text: str
    qos: int = 1
    wants_retained: bool = False
    is_needed: bool = True


def filters_of(
    own: Iterable[str], *, group: str | None = None, peers: str | None = None
) -> list[Filter]:
    """Return everything to subscribe to; `own` are the filters of topic rules.

    `peers` is where the group's members tell each other what they have stored.

    In a group each reading goes to one of its members. A status goes to every member, because
    each of them has to know who is there, and so does the broker's own count.
    Raises `Malformed` for a group that cannot be one.
    """
    readings = _without_covered([all_devices("telemetry"), *own])
    if group is not None:
        check_group(group)
        readings = [f"$share/{group}/{one}" for one in readings]
    # A retained reading was stored when it came; a retained status is what we want to know.
    return [
        *(Filter(one) for one in readings),
        Filter(all_devices("status"), wants_retained=True),
        Filter(DROPPED_TOPIC, qos=0, wants_retained=True, is_needed=False),
        *([] if peers is None else [Filter(peers, qos=0)]),
    ]


def check_group(group: str) -> None:
    """Check the name of a group; raise `Malformed`."""
    if not group or len(group) > _MAX_GROUP_CHARS or not _FILTER_SYNTAX.isdisjoint(group):
        raise Malformed(f"a name of 1 to {_MAX_GROUP_CHARS} characters without / + # $")
    if not group.isprintable():
        raise Malformed("a name of printable characters")


def _without_covered(filters: Sequence[str]) -> list[str]:
    """Leave out what another filter covers: some brokers deliver once for each that matches."""
    kept: list[str] = []
    for one in dict.fromkeys(filters):
        if any(covers(other, one) for other in kept):
            continue
        kept = [other for other in kept if not covers(one, other)] + [one]
    return kept


def covers(wider: str, narrower: str) -> bool:
    """Tell whether every topic that matches the one filter matches the other, too."""
    wide, narrow = wider.split("/"), narrower.split("/")
    for index, level in enumerate(wide):
        if level == "#":
            return True
        if index >= len(narrow) or narrow[index] == "#":
            return False
        if level not in ("+", narrow[index]):
            return False
    return len(wide) == len(narrow)
