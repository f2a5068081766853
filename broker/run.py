"""Run a broker: Mosquitto when it is installed, otherwise amqtt in this process."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from broker.accounts import Account
from broker.amqtt import run_amqtt
from broker.installed import Program, ask_version, find_program
from broker.mosquitto import DoesNotStart, Mosquitto, run_mosquitto
from broker.port import Broker, BrokerKind
from tidegate.errors import Misconfigured

_LOG = structlog.get_logger()
MosquittoRunner = Callable[[Program], AbstractAsyncContextManager[Mosquitto]]


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
    accounts = list(accounts)
    mosquitto = partial(run_mosquitto, host=host, port=port, folder=folder, accounts=accounts)
    async with AsyncExitStack() as stack:
        broker: Broker | None = await _enter_mosquitto(stack, kind, mosquitto, folder)
        if broker is None:
            broker = await stack.enter_async_context(
                run_amqtt(host=host, port=port, accounts=accounts)
            )
        _LOG.info("broker.started", name=broker.name, host=host, port=port)
        yield broker


async def _enter_mosquitto(
    stack: AsyncExitStack, kind: BrokerKind, run: MosquittoRunner, folder: Path
) -> Broker | None:
    """Start Mosquitto, or return None when amqtt is to run instead."""
    path = None if kind == "amqtt" else find_program()
    if path is None and kind == "mosquitto":
        raise Misconfigured(
            "mosquitto is not installed: install the package mosquitto "
            'or set [broker] kind = "auto"'
        )
    if path is None:
        return None
    try:
        return await stack.enter_async_context(run(await ask_version(path)))
    except DoesNotStart as exc:
        # A system's own confinement (AppArmor on Ubuntu) may keep Mosquitto out of our folder.
        # Once it has kept sessions there, taking another broker would silently lose them.
        if kind == "mosquitto" or (folder / "sessions.db").exists():
            raise
        _LOG.warning("broker.mosquitto_unusable", reason=str(exc), instead="amqtt")
        return None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise Misconfigured(f"{folder}: cannot be made: {exc.strerror}") from exc
