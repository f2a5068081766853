"""Accounts at the broker that we start: the registry's devices and the ingester's."""

import secrets

import anyio
import structlog
from anyio import to_thread

from broker.accounts import INGEST_USERNAME, Account, hash_password
from broker.port import Broker
from cloud.fleet.registry import Registry, RegistryAway
from tidegate.configuration import Secret

_LOOK_AGAIN_S = 1.0

log = structlog.get_logger()


class Accounts:
    """Who may connect: the registry's devices and one service account made for this run."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known_version = -1
        self.ingest_username = INGEST_USERNAME
        self.ingest_password = Secret(secrets.token_urlsafe(24))
        self._ingest = Account(INGEST_USERNAME, hash_password(self.ingest_password.reveal()))

    def all(self) -> list[Account]:
        """Return every account that may connect now."""
        self._known_version = self._registry.version()
        return [self._ingest, *(Account(*account) for account in self._registry.accounts())]

    async def follow(self, broker: Broker) -> None:
        """Bring every change of the registry, by whichever process, to the broker; for ever."""
        while True:
            await anyio.sleep(_LOOK_AGAIN_S)
            known = self._known_version
            try:
                if await to_thread.run_sync(self._registry.version) != known:
                    await broker.set_accounts(await to_thread.run_sync(self.all))
            except (OSError, RegistryAway) as exc:
                self._known_version = known
                log.warning("accounts.not_followed", reason=str(exc))
