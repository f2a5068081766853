"""amqtt in this process: the broker of a machine where no Mosquitto is installed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import anyio

from broker.accounts import Account
from broker.admission import admitted
from broker.embedded.outbox import Bounds
from broker.embedded.server import EmbeddedBroker
from broker.listening import check_free
from broker.rules import parse_rules

_STOP_TIMEOUT_S = 10.0
_BACKLOG = 1024


class Amqtt:
    """The embedded broker; made by `run_amqtt`. It ends only with its context."""

    supports_mqtt5 = False

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.name = f"amqtt {version('amqtt')}"
        self._broker = broker

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        """Replace the accounts; see `Broker`."""
        await self._broker.set_accounts(admitted(accounts))

    async def wait_ended(self) -> None:
        """Wait; see `Broker`."""
        await anyio.sleep_forever()


@asynccontextmanager
async def run_amqtt(
    *, host: str, port: int, accounts: Iterable[Account], bounds: Bounds | None = None
) -> AsyncIterator[Amqtt]:
    """Run amqtt on the current event loop until the context ends.

    Raises:
        Misconfigured: the address is in use or not this machine's.
    """
    check_free(host, port)
    # It logs each packet and each hang-up of a client; what matters is logged by our side.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.WARNING)
    rules = parse_rules(Path(__file__).with_name("acl").read_text("utf-8"))
    broker = EmbeddedBroker(rules, admitted(accounts), bounds or Bounds())
    await broker.start()
    server = await asyncio.start_server(broker.serve, host or None, port, backlog=_BACKLOG)
    try:
        yield Amqtt(broker)
    finally:
        with anyio.move_on_after(_STOP_TIMEOUT_S, shield=True):
            server.close()
            await broker.close_connections()
            await broker.shutdown()
            await server.wait_closed()
