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

    def get(self, device: DeviceKey) -> KnownDevice | None:
        """Return one device, None when it never registered."""
        ...


class FleetPresence(Protocol):
    """Who was heard when (`cloud.fleet.presence.Presence`)."""

    def all(self) -> Mapping[DeviceKey, SeenDevice]:
        """Return what is known of every device that was heard since the start."""
        ...


class Boot(Protocol):
    """One boot of a device: lowest and highest sequence seen, and the holes (inclusive)."""

    @property
    def boot(self) -> str:
        """Its id."""
        ...

    @property
    def first(self) -> int:
        """The lowest sequence seen."""
        ...

    @property
    def last(self) -> int:
        """The highest sequence seen."""
        ...

    @property
    def missing(self) -> Sequence[tuple[int, int]]:
        """Sequences that never came, from the first that was expected on."""
        ...


class Fates(Protocol):
    """Readings by what became of them."""

    @property
    def received(self) -> int: ...  # noqa: D102 - DESIGN.md 6 says what each counts
    @property
    def stored(self) -> int: ...  # noqa: D102
    @property
    def duplicate(self) -> int: ...  # noqa: D102
    @property
    def dead(self) -> int: ...  # noqa: D102
    @property
    def filtered(self) -> int: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102


class LastGap(Protocol):
    """The hole that was opened last; `missing` of its readings have not come since."""

    @property
    def boot(self) -> str: ...  # noqa: D102
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def last(self) -> int: ...  # noqa: D102
    @property
    def at_ms(self) -> int: ...  # noqa: D102
    @property
    def missing(self) -> int: ...  # noqa: D102


class Account(Fates, Protocol):
    """One device's readings by what became of them, and its boots."""

    @property
    def boots(self) -> Sequence[Boot]: ...  # noqa: D102
    @property
    def late(self) -> int: ...  # noqa: D102
    @property
    def skew_ms(self) -> int | None: ...  # noqa: D102
    @property
    def last_gap(self) -> LastGap | None: ...  # noqa: D102


class DeadLetter(Protocol):
    """A message, or a part of it, that could not be stored."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def payload(self) -> bytes: ...  # noqa: D102
    @property
    def readings(self) -> int: ...  # noqa: D102
    @property
    def is_shortened(self) -> bool: ...  # noqa: D102
    @property
    def received_at_ms(self) -> int: ...  # noqa: D102


class Ledger(Protocol):
    """What became of every reading (`cloud.ingest.ledger.ledger.Ledger`)."""

    def view(self, device: DeviceKey) -> Awaitable[Account]:
        """Return a device's account; all zero when it was never heard."""
        ...

    def totals(self) -> Fates:
        """Return the counts of all devices together."""
        ...

    def dead_letters(
        self,
        tenant: str | None,
        device: str | None,
        *,
        limit: int,
        before: int | None,
        reason: str | None,
    ) -> Awaitable[Sequence[DeadLetter]]:
        """Return dead letters, newest first, with ids below `before`."""
        ...

    @property
    def letters_dropped(self) -> int:
        """How many dead letters had to make room for newer ones."""
        ...


class Replayed(Protocol):
    """What became of many letters that were replayed."""

    @property
    def letters(self) -> int: ...  # noqa: D102
    @property
    def refused(self) -> int: ...  # noqa: D102
    @property
    def left(self) -> int: ...  # noqa: D102


class Replaying(Protocol):
    """What takes dead letters once more (`cloud.ingest.http.replaying.Replaying`)."""

    def replay_letter(self, letter_id: str) -> Awaitable[object]:
        """Take a dead letter's readings once more; what is refused again is a new letter.

        Raises:
            HTTPError: 404 there is no such letter, 409 it is being replayed, 422 nothing in it
                can be taken, 503 ingestion cannot take it now.
        """
        ...

    def replay_letters(
        self, *, tenant: str | None, device: str | None, reason: str | None, limit: int
    ) -> Awaitable[Replayed]:
        """Take up to `limit` dead letters once more, newest first; HTTPError 503 when away."""
        ...


class Users(Protocol):
    """The people who may log in (`tidegate.auth`)."""

    def login(self, username: str, password: str, *, client: str = "") -> Awaitable[str | None]:
        """Return a session's token, None when name or password is wrong.

        `client` is the caller's address: failures are counted for each name and address.

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
    client: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    path_params: Mapping[str, str]
    query_params: Mapping[str, Any]
