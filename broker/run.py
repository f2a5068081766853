"""Run a broker: Mosquitto when it is installed, otherwise amqtt in this process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from broker.accounts import Account, check_username
from broker.amqtt import run_amqtt
from broker.mosquitto import ask_version, find_program, run_mosquitto
from broker.port import Broker, BrokerKind
from tidegate.errors import Misconfigured

_LOG = structlog.get_logger()


@asynccontextmanager
async def run_broker(
    kind: BrokerKind, *, host: str, port: int, folder: Path, accounts: Iterable[Account]
) -> AsyncIterator[Broker]:
    """Run a broker on `host`:`port` until the context ends; it listens when the context begins.

    `folder` (made when absent) holds what it keeps: accounts, sessions, its log. It must be this
    instance's own; what a killed earlier run left there is stopped and taken over.

    Raises:
        Misconfigured: the address is in use, the folder is another instance's or cannot be
            written, or the broker does not start; the message says what to do.
    """
    _make(folder)
    path = None if kind == "amqtt" else find_program()
    if path is not None:
        program = await ask_version(path)
        async with run_mosquitto(
            program, host=host, port=port, folder=folder, accounts=accounts
        ) as broker:
            yield broker
    elif kind == "mosquitto":
        raise Misconfigured(
            'mosquitto is not installed: install the package mosquitto or set [broker] kind = "auto"'
        )
    else:
        async with run_amqtt(host=host, port=port, accounts=accounts) as embedded:
            yield embedded


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise Misconfigured(f"{folder}: cannot be made: {exc.strerror}") from exc
