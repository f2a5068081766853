"""Both brokers in turn, with the accounts of a gateway and of two devices."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio.from_thread
import pytest

from broker.accounts import INGEST_USERNAME, Account, hash_password
from broker.installed import Program, ask_version, find_program
from broker.mosquitto import run_mosquitto
from broker.port import Broker, BrokerKind
from broker.run import run_broker
from tests.support.broker_clients import Client
from tests.support.server_process import required

DEVICE = "acme/pump-1"


OTHER = "acme/pump-2"


PASSWORD = "geheim"


def account(username: str, password: str = PASSWORD) -> Account:
    """Make an account."""
    return Account(username, hash_password(password))


ACCOUNTS = [account(INGEST_USERNAME), account(DEVICE), account(OTHER)]


class RunningBroker(NamedTuple):
    """A broker that runs in a thread of its own."""

    broker: Broker
    portal: anyio.from_thread.BlockingPortal
    port: int
    folder: Path

    def client(self, username: str, **options: Any) -> Client:
        """Make a client with the right password."""
        return Client(self.port, username, options.pop("password", PASSWORD), **options)

    def ingest(self, **options: Any) -> Client:
        """Make the gateway's client: a persistent session, acknowledged by hand."""
        return self.client(INGEST_USERNAME, clean=False, manual_ack=True, **options)

    def set_accounts(self, accounts: list[Account]) -> None:
        """Give the broker other accounts."""
        self.portal.call(self.broker.set_accounts, accounts)


def _as_2_1(path: str) -> Program:
    """Pretend that Mosquitto is 2.1, so that the rules are written out for every account."""

    async def ask() -> Program:
        return await ask_version(path)

    return Program(anyio.run(ask).path, "2.1.0")


@contextmanager
def run_one(kind: str, folder: Path, port: int) -> Iterator[RunningBroker]:
    """Run a broker of a kind while the context is open."""
    where: dict[str, Any] = {"host": "127.0.0.1", "port": port, "folder": folder}
    path = None if kind == "amqtt" else required(find_program(), package="mosquitto")
    if kind == "mosquitto-acl-written-out" and path:
        folder.mkdir()
        manager: Any = run_mosquitto(_as_2_1(path), accounts=ACCOUNTS, **where)
    else:
        name: BrokerKind = "amqtt" if kind == "amqtt" else "mosquitto"
        manager = run_broker(name, accounts=ACCOUNTS, **where)
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
        broker = stack.enter_context(portal.wrap_async_context_manager(manager))
        yield RunningBroker(broker, portal, port, folder)


@pytest.fixture(params=["mosquitto", "amqtt"])
def either_broker(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: int
) -> Iterator[RunningBroker]:
    """Run each broker in turn, with the gateway's and two devices' accounts."""
    with run_one(request.param, tmp_path / "the broker", free_port) as broker:
        yield broker


@pytest.fixture(params=["mosquitto", "mosquitto-acl-written-out", "amqtt"])
def ruling_broker(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: int
) -> Iterator[RunningBroker]:
    """Run each broker, and Mosquitto with the rules as it gets them from 2.1 on."""
    with run_one(request.param, tmp_path / "the broker", free_port) as broker:
        yield broker
