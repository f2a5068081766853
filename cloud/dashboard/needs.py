"""What the pages need from other services, declared on this side."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from cloud.dashboard.presence import SeenDevice
from wire.ids import DeviceKey


class KnownDevice(Protocol):
    """A registered device (`cloud.fleet.registry.Device`)."""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def device(self) -> str:
        """Its name."""
        ...


class FleetRegistry(Protocol):
    """The devices that exist (`cloud.fleet.registry.Registry`)."""

    def devices(self, tenant: str | None = None) -> Sequence[KnownDevice]:
        """Return all devices, or one tenant's."""
        ...


class FleetPresence(Protocol):
    """Who was heard when (`cloud.fleet.presence.Presence`)."""

    def all(self) -> Mapping[DeviceKey, SeenDevice]:
        """Return what is known of every device that was heard since the start."""
        ...


class Ledger(Protocol):
    """What became of every reading (`cloud.ingest.ledger.Ledger`)."""

    def counts(self, device: DeviceKey) -> Awaitable[Mapping[str, Any] | None]:
        """Return what `GET …/ledger` answers, None for a device that never sent anything."""
        ...

    def totals(self) -> Awaitable[Mapping[str, int]]:
        """Return the counts of all devices together, by the same names."""
        ...

    def dead_letters(
        self, *, tenant: str | None, device: str | None, limit: int, cursor: str | None
    ) -> Awaitable[tuple[Sequence[Mapping[str, Any]], str | None]]:
        """Return dead letters, newest first, and the cursor of the next page."""
        ...


class Users(Protocol):
    """The people who may log in (`tidegate.auth`)."""

    def login(self, username: str, password: str) -> Awaitable[str | None]:
        """Return a session's token, None when name or password is wrong.

        Raises:
            HTTPError: 429 after too many attempts.
        """
        ...

    def logout(self, token: str) -> Awaitable[None]:
        """End a session; an unknown token is no error."""
        ...


class PageRequest(Protocol):
    """The part of `tidegate.http.request.Request` that the pages read."""

    body: Any
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    path_params: Mapping[str, str]
    query_params: Mapping[str, str]
