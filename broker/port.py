"""The port behind which a broker runs, whichever it is."""

from collections.abc import Iterable
from typing import Literal, Protocol

from broker.accounts import Account
from tidegate.errors import TidegateError

BrokerKind = Literal["auto", "mosquitto", "amqtt"]


class BrokerEnded(TidegateError):
    """The broker is gone and will not come back by itself: start it again or stop."""


class Broker(Protocol):
    """A running broker."""

    @property
    def name(self) -> str:
        """Product and version: `mosquitto 2.0.11`."""
        ...

    @property
    def supports_mqtt5(self) -> bool:
        """Whether clients may speak MQTT 5; otherwise only 3.1.1."""
        ...

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        """Replace all accounts; in effect within a second, other live sessions go on.

        Idempotent. An account that the broker cannot take is left out and logged. A client whose
        account is gone or has another password is disconnected.

        Raises:
            OSError: the accounts cannot be written; the broker keeps those it has.
        """
        ...

    async def wait_ended(self) -> None:
        """Wait for the end of the broker.

        Raises:
            BrokerEnded: it ended and the attempts to start it again failed.
        """
        ...
