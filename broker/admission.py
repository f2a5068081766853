"""Which accounts a broker takes: one bad name never keeps the others out."""

from collections.abc import Iterable

import structlog

from broker.accounts import Account, check_username
from wire.errors import Malformed

_LOG = structlog.get_logger()


def admitted(accounts: Iterable[tuple[str, str]]) -> list[Account]:
    """Return the accounts whose names are allowed; the others are logged and left out."""
    taken = []
    for username, password_hash in accounts:
        try:
            check_username(username)
        except Malformed as exc:
            _LOG.error("broker.account_refused", username=username, reason=str(exc))
        else:
            taken.append(Account(username, password_hash))
    return taken
