"""Presence: births, last wills and data, in any order."""

from cloud.fleet.presence import Presence, Seen
from wire.ids import DeviceKey, device_id, tenant_id
from wire.messages import Status

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def test_presence_knows_nothing_at_first() -> None:
    """A device never heard is neither on nor off."""
    assert Presence().of(_PUMP) == Seen(None, None)


def test_presence_birth_is_a_hearing_and_a_will_is_not() -> None:
    """The last will is the broker's word, not the device's."""
    presence = Presence()

    presence.status(_PUMP, Status("online"), 10)
    presence.status(_PUMP, Status("offline"), 20)

    assert presence.of(_PUMP) == Seen(10, online=False)


def test_presence_data_after_the_will_means_it_is_back() -> None:
    """A device that sends is there, although its birth was lost."""
    presence = Presence()
    presence.status(_PUMP, Status("offline"), 10)

    presence.heard(_PUMP, 20)

    assert presence.of(_PUMP) == Seen(20, online=True)


def test_presence_older_data_changes_nothing() -> None:
    """The time last heard never goes back."""
    presence = Presence()

    presence.heard(_PUMP, 20)
    presence.heard(_PUMP, 10)

    assert presence.all() == {_PUMP: Seen(20, None)}


def test_presence_retained_birth_is_no_hearing() -> None:
    """The broker kept it from some time in the past: the device is on, but was not heard now."""
    presence, fan = Presence(), _PUMP._replace(device=device_id("fan"))
    presence.heard(_PUMP, 20)

    presence.status(_PUMP, Status("online"), None)
    presence.status(fan, Status("online"), None)

    assert presence.of(_PUMP) == Seen(20, online=True)
    assert presence.of(fan) == Seen(None, online=True)
