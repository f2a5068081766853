"""Accounts at the broker that we start: the registry's devices and the ingester's."""

import secrets

import anyio
import structlog
from anyio import to_thread

from broker.accounts import INGEST_USERNAME, Account, hash_password
from broker.port import Broker
from cloud.fleet.registry import Registry
from tidegate.configuration import Secret

_LOOK_AGAIN_S = 1.0

log = structlog.get_logger()


class Accounts:
    """Who may connect: the registry's devices and one service account made for this run."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.ingest_username = INGEST_USERNAME
        self.ingest_password = Secret(secrets.token_urlsafe(24))
        self._ingest = Account(INGEST_USERNAME, hash_password(self.ingest_password.reveal()))

    def all(self) -> list[Account]:
        """Return every account that may connect now."""
        return [self._ingest, *(Account(*account) for account in self._registry.accounts())]


async def follow_registry(
    accounts: Accounts, registry: Registry, broker: Broker, version: int
) -> None:
    """Bring every change of the registry, by whichever process, to the broker; until cancelled."""
    while True:
        await anyio.sleep(_LOOK_AGAIN_S)
        now = await to_thread.run_sync(registry.version)
        if now == version:
            continue
        try:
            await broker.set_accounts(await to_thread.run_sync(accounts.all))
            version = now
        except OSError as exc:
            log.warning("accounts.not_written", reason=str(exc))
