"""The pages' needs are met by the fleet's and the ingest's own types: checked by mypy."""

from cloud.dashboard import needs
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.ingest.http.replaying import Replaying
from cloud.ingest.ledger.ledger import Ledger
from tidegate.auth.users import Users
from wire.ids import DeviceId, DeviceKey, TenantId


def registry_fits(registry: Registry) -> needs.FleetRegistry:
    """Accept the real registry."""
    return registry


def ledger_fits(ledger: Ledger) -> needs.Ledger:
    """Accept the real ledger."""
    return ledger


def replaying_fits(replaying: Replaying) -> needs.Replaying:
    """Accept the real replaying."""
    return replaying


def users_fit(users: Users) -> needs.Users:
    """Accept the real users."""
    return users


def test_presence_fits() -> None:
    """The real presence answers what pages ask of it."""
    presence = Presence()
    key = DeviceKey(TenantId("plant"), DeviceId("pump"))
    presence.heard(key, 5)
    needed: needs.FleetPresence = presence

    assert needed.all()[key].last_heard_ms == 5
