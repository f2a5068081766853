"""Which broker the platform uses: one that it starts, or the operator's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import structlog

from broker.port import Broker
from broker.run import run_broker
from cloud.accounts import Accounts
from cloud.data_folder import DataFolder
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.receiving.filters import check_group
from cloud.settings import Settings
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured
from wire.errors import Malformed

_DEFAULT_PORT = 1883
_OURS = "t/"
_OPEN = (
    "the broker that we start lets devices publish below t/TENANT/DEVICE only: set [broker] url to"
    " a broker whose accounts may use these topics"
)
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}

_log = structlog.get_logger()


class Connection(NamedTuple):
    """How ingest reaches the broker; `own` is None when it is the operator's."""

    access: BrokerAccess
    name: str
    own: Broker | None


@asynccontextmanager
async def broker_connection(
    settings: Settings, folder: DataFolder, accounts: Accounts
) -> AsyncIterator[Connection]:
    """Start our broker, or connect to the one that `[broker] url` names.

    Raises:
        Misconfigured: the URL cannot be used, or the broker cannot start.
    """
    if settings.broker.url is not None:
        access = parse_url(settings.broker.url)
        if settings.ingest.client_id is not None:
            access = replace(access, client_id=settings.ingest.client_id)
        yield Connection(access, f"{access.host}:{access.port} (external)", None)
        return
    if topics := closed_topics(settings):
        _log.warning("topics.closed", topics=topics, do=_OPEN)
    host, port = settings.broker.host, settings.broker.port
    async with run_broker(
        settings.broker.kind, host=host, port=port, folder=folder.broker, accounts=accounts.all()
    ) as broker:
        access = BrokerAccess(
            reachable(host),
            port,
            accounts.ingest_username,
            accounts.ingest_password,
            client_id=accounts.ingest_username,
            mqtt5=broker.supports_mqtt5,
        )
        yield Connection(access, f"{reachable(host)}:{port} ({broker.name})", broker)


def parse_url(url: Secret) -> BrokerAccess:
    """Parse `mqtt://user:password@host:port`.

    Raises:
        Misconfigured: it is not such a URL; the message does not repeat it, it holds a password.
    """
    try:
        parts = urlsplit(url.reveal())
        port = parts.port or _DEFAULT_PORT
    except ValueError as exc:
        raise Misconfigured("broker.url: host or port cannot be read") from exc
    if parts.scheme != "mqtt" or not parts.hostname:
        raise Misconfigured("broker.url: write mqtt://user:password@host:port")
    username = unquote(parts.username) if parts.username else None
    password = Secret(unquote(parts.password)) if parts.password else None
    defaults = BrokerAccess(parts.hostname, port)
    client_id = username or defaults.client_id
    return BrokerAccess(parts.hostname, port, username, password, client_id=client_id)


def closed_topics(settings: Settings) -> list[str]:
    """Return the topics of rules on which the broker that we start lets nothing through."""
    if settings.broker.url is not None:
        return []
    return [rule.topic for rule in settings.ingest.topics if not rule.topic.startswith(_OURS)]


def check_sharing(settings: Settings) -> None:
    """Check what several ingesters at one broker need; raise `Misconfigured`."""
    group, client_id = settings.ingest.shared_group, settings.ingest.client_id
    if group is not None:
        try:
            check_group(group)
        except Malformed as exc:
            raise Misconfigured(f"ingest.shared_group must be {exc}") from exc
    if group is not None and settings.ingest.sparkplug.enabled:
        raise Misconfigured(
            "ingest.shared_group cannot share Sparkplug nodes, whose messages build on one"
            " another: let an ingester without a group have them"
        )
    for name, value in (("shared_group", group), ("client_id", client_id)):
        if value is not None and settings.broker.url is None:
            raise Misconfigured(
                f"ingest.{name} has no meaning with the broker that we start, which has one"
                " ingester: remove it, or set [broker] url"
            )
    if client_id is not None and not (client_id.isprintable() and client_id.strip()):
        raise Misconfigured("ingest.client_id must be a printable name")


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a listener bound to `host`."""
    return _ANY.get(host, host)
